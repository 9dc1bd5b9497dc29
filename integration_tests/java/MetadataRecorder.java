import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.bookkeeper.bookie.Cookie;
import org.apache.bookkeeper.client.LedgerMetadataBuilder;
import org.apache.bookkeeper.client.api.DigestType;
import org.apache.bookkeeper.meta.FlatLedgerManagerFactory;
import org.apache.bookkeeper.meta.HierarchicalLedgerManagerFactory;
import org.apache.bookkeeper.meta.LedgerLayout;
import org.apache.bookkeeper.meta.LedgerMetadataSerDe;
import org.apache.bookkeeper.meta.LongHierarchicalLedgerManagerFactory;
import org.apache.bookkeeper.net.BookieId;

/** Prints what Apache's code stores, a line "NAME HEX" each: the content of metadata/testdata/apache.txt. */
public final class MetadataRecorder {
    private static final String[] BOOKIES = {
        "10.0.0.1:3181", "10.0.0.2:3181", "10.0.0.3:3181", "bookie-4.example.org:3181", "custom_Id;5"};

    public static void main(String[] args) throws Exception {
        for (int version = 1; version <= 3; version++) {
            ledger("open", version, base(version));
            ledger("in_recovery", version, twoFragments(version).withInRecoveryState());
            ledger("closed", version,
                twoFragments(version).withClosedState().withLastEntryId(99).withLength(4096));
            ledger("closed_empty", version,
                base(version).withClosedState().withLastEntryId(-1).withLength(0));
        }
        for (int version = 2; version <= 3; version++) {
            for (DigestType digest : DigestType.values()) {
                ledger("digest_" + digest.name().toLowerCase(), version, base(version).withDigestType(digest));
            }
            ledger("no_password_bytes", version, base(version).withPassword(new byte[0]));
            byte[] all = new byte[256];
            for (int i = 0; i < all.length; i++) {
                all[i] = (byte) i;
            }
            ledger("all_bytes", version, base(version).withPassword(all).withCustomMetadata(Map.of("all", all)));
            ledger("creation_time", version,
                base(version).withCreationTime(1_700_000_000_000L).storingCreationTime(true));
            ledger("huge", version, base(version).withClosedState().withLastEntryId((1L << 40) - 1)
                .withLength(Long.MAX_VALUE));
        }
        ledger("creator_token", 3, base(3).withCToken(0x0123456789ABCDEFL));

        Cookie.Builder cookie = Cookie.newBuilder().setBookieId("10.0.0.1:3181").setJournalDirs("/data/j1,/data/j2")
            .setLedgerDirs(Cookie.encodeDirPaths(new String[] {"/data/l1", "/data/l 2"}));
        record("cookie.no_instance", cookie.build().toString());
        cookie.setInstanceId("6f9619ff-8b86-4d01-b42d-00cf4fc964ff");
        record("cookie.plain", cookie.build().toString());
        cookie.setIndexDirs(Cookie.encodeDirPaths(new String[] {"/data/i1"}));
        record("cookie.index_directories", cookie.build().toString());

        record("layout.hierarchical",
            new LedgerLayout(HierarchicalLedgerManagerFactory.class.getName(), 1).serialize());
        record("layout.longhierarchical",
            new LedgerLayout(LongHierarchicalLedgerManagerFactory.class.getName(), 1).serialize());
        flatLayout();
    }

    @SuppressWarnings("deprecation")
    private static void flatLayout() throws Exception {
        record("layout.flat", new LedgerLayout(FlatLedgerManagerFactory.class.getName(), 1).serialize());
    }

    private static LedgerMetadataBuilder base(int version) {
        return LedgerMetadataBuilder.create().withId(7).withMetadataFormatVersion(version).withEnsembleSize(3)
            .withWriteQuorumSize(2).withAckQuorumSize(version == 1 ? 2 : 1).withDigestType(DigestType.CRC32C)
            .withPassword("pw".getBytes(StandardCharsets.UTF_8)).newEnsembleEntry(0, ensemble(0, 1, 2));
    }

    private static LedgerMetadataBuilder twoFragments(int version) {
        return base(version).newEnsembleEntry(57, ensemble(0, 3, 4))
            .withCustomMetadata(Map.of("application", "stele".getBytes(StandardCharsets.UTF_8)));
    }

    private static List<BookieId> ensemble(int... members) {
        List<BookieId> ensemble = new ArrayList<>();
        Arrays.stream(members).forEach(member -> ensemble.add(BookieId.parse(BOOKIES[member])));
        return ensemble;
    }

    private static void ledger(String name, int version, LedgerMetadataBuilder builder) throws Exception {
        record("ledger.v" + version + "." + name, new LedgerMetadataSerDe().serialize(builder.build()));
    }

    private static void record(String name, String text) {
        record(name, text.getBytes(StandardCharsets.UTF_8));
    }

    private static void record(String name, byte[] bytes) {
        System.out.println(name + " " + HexFormat.of().formatHex(bytes));
    }
}
