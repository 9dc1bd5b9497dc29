import java.nio.charset.StandardCharsets;
import org.apache.bookkeeper.auth.AuthCallbacks;
import org.apache.bookkeeper.auth.AuthToken;
import org.apache.bookkeeper.auth.ClientAuthProvider;
import org.apache.bookkeeper.client.BKException;
import org.apache.bookkeeper.conf.ClientConfiguration;
import org.apache.bookkeeper.proto.ClientConnectionPeer;

/** A client's authentication plug-in that has the first word, and fails when it is answered by its like. */
public final class TalkingAuth implements ClientAuthProvider.Factory {
    @Override
    public void init(ClientConfiguration configuration) {
    }

    @Override
    public String getPluginName() {
        return "TalkingAuth";
    }

    @Override
    public ClientAuthProvider newProvider(ClientConnectionPeer bookie, AuthCallbacks.GenericCallback<Void> done) {
        return new ClientAuthProvider() {
            @Override
            public void init(AuthCallbacks.GenericCallback<AuthToken> send) {
                send.operationComplete(BKException.Code.OK,
                    AuthToken.wrap("let me in".getBytes(StandardCharsets.UTF_8)));
            }

            @Override
            public void process(AuthToken answer, AuthCallbacks.GenericCallback<AuthToken> send) {
                done.operationComplete(BKException.Code.UnauthorizedAccessException, null);
            }
        };
    }
}
