import io.netty.buffer.Unpooled;
import java.io.BufferedReader;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.stream.Collectors;
import org.apache.bookkeeper.client.BookKeeper;
import org.apache.bookkeeper.client.BookKeeperAdmin;
import org.apache.bookkeeper.client.api.BKException;
import org.apache.bookkeeper.client.api.CreateBuilder;
import org.apache.bookkeeper.client.api.DigestType;
import org.apache.bookkeeper.client.api.ForceableHandle;
import org.apache.bookkeeper.client.api.Handle;
import org.apache.bookkeeper.client.api.LastConfirmedAndEntry;
import org.apache.bookkeeper.client.api.LedgerEntries;
import org.apache.bookkeeper.client.api.LedgerEntry;
import org.apache.bookkeeper.client.api.LedgerMetadata;
import org.apache.bookkeeper.client.api.ReadHandle;
import org.apache.bookkeeper.client.api.WriteAdvHandle;
import org.apache.bookkeeper.client.api.WriteFlag;
import org.apache.bookkeeper.client.api.WriteHandle;
import org.apache.bookkeeper.conf.ClientConfiguration;
import org.apache.bookkeeper.meta.LedgerUnderreplicationManager;
import org.apache.bookkeeper.meta.MetadataClientDriver;
import org.apache.bookkeeper.meta.MetadataDrivers;
import org.apache.bookkeeper.net.BookieId;
import org.apache.bookkeeper.stats.NullStatsLogger;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;

/**
 * Apache's client behind the commands of driver.h: a line in, a line out. Arguments are key=value of
 * Apache's client configuration.
 */
public final class LedgerDriver {
    private final BookKeeper client;
    private final URI metadataUri;
    private final Map<String, Handle> handles = new HashMap<>();
    private final Map<String, Load> loads = new HashMap<>();
    private LedgerUnderreplicationManager repair; // made when first asked for

    public static void main(String[] args) throws Exception {
        ClientConfiguration configuration = new ClientConfiguration();
        configuration.setThrottleValue(0); // Apache's default allows a handle 5000 adds a second
        for (String arg : args) {
            String[] pair = arg.split("=", 2);
            configuration.setProperty(pair[0], pair[1]);
        }
        LedgerDriver driver = new LedgerDriver(new BookKeeper(configuration),
            URI.create(configuration.getMetadataServiceUri()));
        say("ready");
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = input.readLine()) != null; ) {
            say(driver.answer(line));
        }
        Runtime.getRuntime().halt(0);
    }

    private LedgerDriver(BookKeeper client, URI metadataUri) {
        this.client = client;
        this.metadataUri = metadataUri;
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private String answer(String line) {
        try {
            String done = carryOut(line.split(" "));
            return done.isEmpty() ? "ok" : "ok " + done;
        } catch (Throwable error) {
            return "error " + nameOf(error) + " " + String.valueOf(error.getMessage()).replace('\n', ' ');
        }
    }

    private String carryOut(String[] words) throws Exception {
        switch (words[0]) {
            case "create": return create(words);
            case "open": return open(words);
            case "append": return append(words);
            case "append-at": return appendAt(words);
            case "load": return load(words);
            case "load-stop": return loads.remove(words[1]).stop();
            case "read": return read(words[1], number(words[2]), number(words[3]));
            case "read-unconfirmed":
                return checked(reader(words[1]).readUnconfirmed(number(words[2]), number(words[3])));
            case "read-batch":
                return checked(reader(words[1]).batchRead(number(words[2]), (int) number(words[3]),
                    number(words[4])));
            case "lac": return "" + reader(words[1]).getLastAddConfirmed();
            case "read-lac": return "" + reader(words[1]).readLastAddConfirmed();
            case "try-read-lac": return "" + reader(words[1]).tryReadLastAddConfirmed();
            case "wait": return await(words[1], number(words[2]), number(words[3]));
            case "force":
                ((ForceableHandle) handles.get(words[1])).force().get();
                return "";
            case "close":
                handles.get(words[1]).close();
                return "";
            case "delete":
                client.newDeleteLedgerOp().withLedgerId(number(words[1])).execute().get();
                return "";
            case "metadata": return describe(client.getLedgerMetadata(number(words[1])).get());
            case "list": return list();
            case "bookie-info": return bookieInfo();
            case "list-entries": return listEntries(words[1], number(words[2]));
            case "admin-read": return adminRead(number(words[1]));
            case "admin-recover":
                admin().recoverBookieData(BookieId.parse(words[1]));
                return "";
            case "admin-bookies": return adminBookies();
            case "repair-mark":
                repair().markLedgerUnderreplicatedAsync(number(words[1]), List.of(words[2])).get();
                return "";
            case "repair-marks": return repairMarks();
            case "repair-delay":
                if (words.length > 1) {
                    repair().setLostBookieRecoveryDelay((int) number(words[1]));
                }
                return "" + repair().getLostBookieRecoveryDelay();
            case "repair-enable":
                repair().enableLedgerReplication();
                return "";
            case "repair-enabled": return "" + repair().isLedgerReplicationEnabled();
            case "zk-get": return zooKeeperGet(words[1]);
            case "zk-create": return zooKeeperCreate(words[1]);
            default: throw new IllegalArgumentException("no such command: " + words[0]);
        }
    }

    private static long number(String word) {
        return Long.parseLong(word);
    }

    private ReadHandle reader(String name) {
        return (ReadHandle) handles.get(name);
    }

    private static Map<String, String> options(String[] words, int from) {
        Map<String, String> options = new TreeMap<>();
        for (int i = from; i < words.length; i++) {
            String[] pair = words[i].split("=", 2);
            options.put(pair[0], pair[1]);
        }
        return options;
    }

    private static DigestType digest(Map<String, String> options) {
        return DigestType.valueOf(options.getOrDefault("digest", "crc32").toUpperCase());
    }

    private static byte[] password(Map<String, String> options) {
        return options.getOrDefault("password", "").getBytes(StandardCharsets.UTF_8);
    }

    /** create NAME [e= w= a= digest= password= id= adv=1 deferred=1 custom.KEY=VALUE] */
    private String create(String[] words) throws Exception {
        Map<String, String> options = options(words, 2);
        Map<String, byte[]> custom = new HashMap<>();
        options.forEach((key, value) -> {
            if (key.startsWith("custom.")) {
                custom.put(key.substring(7), value.getBytes(StandardCharsets.UTF_8));
            }
        });
        CreateBuilder builder = client.newCreateLedgerOp()
            .withEnsembleSize(Integer.parseInt(options.getOrDefault("e", "3")))
            .withWriteQuorumSize(Integer.parseInt(options.getOrDefault("w", "2")))
            .withAckQuorumSize(Integer.parseInt(options.getOrDefault("a", "2")))
            .withDigestType(digest(options)).withPassword(password(options)).withCustomMetadata(custom);
        if (options.containsKey("deferred")) {
            builder = builder.withWriteFlags(WriteFlag.DEFERRED_SYNC);
        }
        Handle handle;
        if (options.containsKey("id")) {
            handle = builder.makeAdv().withLedgerId(number(options.get("id"))).execute().get();
        } else if (options.containsKey("adv")) {
            handle = builder.makeAdv().execute().get();
        } else {
            handle = builder.execute().get();
        }
        handles.put(words[1], handle);
        return "" + handle.getId();
    }

    /** open NAME LEDGER [password= digest= recover=1] */
    private String open(String[] words) throws Exception {
        Map<String, String> options = options(words, 3);
        ReadHandle handle = client.newOpenLedgerOp().withLedgerId(number(words[2]))
            .withPassword(password(options)).withDigestType(digest(options))
            .withRecovery(options.containsKey("recover")).execute().get();
        handles.put(words[1], handle);
        return handle.getLastAddConfirmed() + " " + (handle.isClosed() ? "closed" : "open");
    }

    /** append NAME SIZE COUNT OUTSTANDING */
    private String append(String[] words) throws Exception {
        Load load = new Load((WriteHandle) handles.get(words[1]), (int) number(words[2]),
            (int) number(words[4]), null);
        long count = number(words[3]);
        while (load.sent < count && load.error == null) {
            load.send();
        }
        load.await();
        if (load.error != null) {
            throw new Exception("acknowledged " + load.acknowledged, load.error);
        }
        return "" + load.last;
    }

    /** append-at NAME ENTRY SIZE [ENTRY ...]: all at once, in the order given */
    private String appendAt(String[] words) throws Exception {
        WriteAdvHandle handle = (WriteAdvHandle) handles.get(words[1]);
        List<java.util.concurrent.CompletableFuture<Long>> pending = new ArrayList<>();
        for (int i = 3; i < words.length; i++) {
            long entry = number(words[i]);
            pending.add(handle.writeAsync(entry, payload(handle.getId(), entry, (int) number(words[2]))));
        }
        for (java.util.concurrent.CompletableFuture<Long> one : pending) {
            one.get();
        }
        return "" + handle.getLastAddConfirmed();
    }

    /** load NAME SIZE OUTSTANDING FILE: appends until told to stop; each acknowledged id is a line of FILE */
    private String load(String[] words) throws Exception {
        Load load = new Load((WriteHandle) handles.get(words[1]), (int) number(words[2]),
            (int) number(words[3]), new FileOutputStream(words[4], true));
        loads.put(words[1], load);
        Thread thread = new Thread(() -> {
            while (!load.stopping && load.error == null) {
                load.send();
            }
        });
        thread.setDaemon(true);
        thread.start();
        load.thread = thread;
        return "";
    }

    /** Appends with a bound on those outstanding, and what became of them. */
    private static final class Load {
        final WriteHandle handle;
        final int size;
        final int outstanding;
        final Semaphore room;
        final OutputStream log;
        long sent;
        volatile long acknowledged;
        volatile long last = -1;
        volatile boolean stopping;
        volatile Throwable error;
        Thread thread;

        Load(WriteHandle handle, int size, int outstanding, OutputStream log) {
            this.handle = handle;
            this.size = size;
            this.outstanding = outstanding;
            this.room = new Semaphore(outstanding);
            this.log = log;
        }

        void send() {
            room.acquireUninterruptibly();
            long entry = handle.getLastAddPushed() + 1;
            sent++;
            handle.appendAsync(Unpooled.wrappedBuffer(payload(handle.getId(), entry, size)))
                .whenComplete((id, failure) -> {
                    done(entry, id, failure);
                    room.release();
                });
        }

        private synchronized void done(long entry, Long id, Throwable failure) {
            if (failure == null && id != entry) {
                failure = new IllegalStateException("entry " + entry + " got id " + id);
            }
            if (failure != null) {
                error = error == null ? failure : error;
                return;
            }
            acknowledged++;
            last = Math.max(last, id);
            if (log != null) {
                try {
                    log.write((id + "\n").getBytes(StandardCharsets.US_ASCII));
                } catch (java.io.IOException e) {
                    error = e;
                }
            }
        }

        void await() {
            room.acquireUninterruptibly(outstanding);
            room.release(outstanding);
        }

        String stop() throws Exception {
            stopping = true;
            thread.join();
            await();
            log.close();
            return acknowledged + " " + last + " " + (error == null ? "-" : nameOf(error));
        }
    }

    private String read(String name, long first, long last) throws Exception {
        long count = 0;
        long bytes = 0;
        for (long from = first; from <= last; from += 100) {
            String[] part = checked(reader(name).read(from, Math.min(last, from + 99))).split(" ");
            count += number(part[0]);
            bytes += number(part[1]);
        }
        return count + " " + bytes;
    }

    /** "COUNT BYTES" of entries whose payloads are those that the drivers write. */
    private static String checked(LedgerEntries entries) {
        long count = 0;
        long bytes = 0;
        for (LedgerEntry entry : entries) {
            check(entry);
            count++;
            bytes += entry.getEntryBuffer().readableBytes();
        }
        entries.close();
        return count + " " + bytes;
    }

    private static void check(LedgerEntry entry) {
        byte[] found = entry.getEntryBytes();
        byte[] wanted = payload(entry.getLedgerId(), entry.getEntryId(), found.length);
        if (!java.util.Arrays.equals(found, wanted)) {
            throw new IllegalStateException("entry " + entry.getEntryId() + " has other bytes");
        }
    }

    private static byte[] payload(long ledger, long entry, int size) {
        byte[] bytes = new byte[size];
        for (int i = 0; i < size; i++) {
            bytes[i] = (byte) (ledger * 131 + entry * 31 + i * 7L + (i >> 8));
        }
        return bytes;
    }

    private String await(String name, long entry, long milliseconds) throws Exception {
        try (LastConfirmedAndEntry found =
                 reader(name).readLastAddConfirmedAndEntry(entry, milliseconds, false)) {
            if (found.hasEntry()) {
                check(found.getEntry());
                return found.getLastAddConfirmed() + " " + found.getEntry().getEntryId();
            }
            return found.getLastAddConfirmed() + " none";
        }
    }

    private static String describe(LedgerMetadata metadata) {
        String fragments = metadata.getAllEnsembles().entrySet().stream()
            .map(fragment -> fragment.getKey() + ":" + fragment.getValue().stream()
                .map(BookieId::getId).collect(Collectors.joining(",")))
            .collect(Collectors.joining(";"));
        String custom = new TreeMap<>(metadata.getCustomMetadata()).entrySet().stream()
            .map(pair -> pair.getKey() + ":" + new String(pair.getValue(), StandardCharsets.UTF_8))
            .collect(Collectors.joining(","));
        boolean closed = metadata.isClosed();
        return "state=" + metadata.getState().name().toLowerCase()
            + " last=" + (closed ? metadata.getLastEntryId() : -1)
            + " length=" + (closed ? metadata.getLength() : 0) + " e=" + metadata.getEnsembleSize()
            + " w=" + metadata.getWriteQuorumSize() + " a=" + metadata.getAckQuorumSize()
            // Format 1 has none: CRC32 was the only one.
            + " digest=" + (metadata.hasPassword() ? metadata.getDigestType().name().toLowerCase() : "crc32")
            + " format=" + metadata.getMetadataFormatVersion() + " custom=" + custom
            + " fragments=" + fragments;
    }

    private String list() throws Exception {
        List<String> ids = new ArrayList<>();
        for (long id : admin().listLedgers()) {
            ids.add("" + id);
        }
        return String.join(" ", ids);
    }

    private BookKeeperAdmin admin() {
        return new BookKeeperAdmin(client);
    }

    /** "BOOKIE:TOTAL:FREE ..." */
    private String bookieInfo() throws Exception {
        return client.getBookieInfo().entrySet().stream()
            .map(pair -> pair.getKey().getId() + "=" + pair.getValue().getTotalDiskSpace() + "/"
                + pair.getValue().getFreeDiskSpace())
            .sorted().collect(Collectors.joining(" "));
    }

    /** The entry ids that the bookie says it has. */
    private String listEntries(String bookie, long ledger) throws Exception {
        org.apache.bookkeeper.util.AvailabilityOfEntriesOfLedger found =
            admin().asyncGetListOfEntriesOfLedger(BookieId.parse(bookie), ledger).get();
        StringBuilder ids = new StringBuilder("" + found.getTotalNumOfAvailableEntries());
        for (long id = 0; id < 5000; id++) {
            if (found.isEntryAvailable(id)) {
                ids.append(' ').append(id);
            }
        }
        return ids.toString();
    }

    private String adminRead(long ledger) throws Exception {
        long count = 0;
        for (org.apache.bookkeeper.client.LedgerEntry ignored : admin().readEntries(ledger, 0, -1)) {
            count++;
        }
        return "" + count;
    }

    private String adminBookies() throws Exception {
        return "writable=" + admin().getAvailableBookies().size() + " readonly="
            + admin().getReadOnlyBookies().size() + " all=" + admin().getAllBookies().size();
    }

    /** LEDGER:BOOKIE,BOOKIE of each ledger that is marked. */
    private String repairMarks() throws Exception {
        List<String> marks = new ArrayList<>();
        repair().listLedgersToRereplicate(null).forEachRemaining(mark ->
            marks.add(mark.getLedgerId() + ":" + String.join(",", mark.getReplicaList())));
        return String.join(" ", marks);
    }

    private LedgerUnderreplicationManager repair() throws Exception {
        if (repair == null) {
            ClientConfiguration configuration = new ClientConfiguration();
            configuration.setMetadataServiceUri(metadataUri.toString());
            MetadataClientDriver metadata = MetadataDrivers.getClientDriver(metadataUri);
            metadata.initialize(configuration, Executors.newSingleThreadScheduledExecutor(),
                NullStatsLogger.INSTANCE, Optional.empty());
            repair = metadata.getLedgerManagerFactory().newLedgerUnderreplicationManager();
        }
        return repair;
    }

    /** The node's data, as hex. */
    private String zooKeeperGet(String path) throws Exception {
        ZooKeeper zooKeeper = zooKeeper();
        try {
            return HexFormat.of().formatHex(zooKeeper.getData(path, false, null));
        } finally {
            zooKeeper.close();
        }
    }

    private String zooKeeperCreate(String path) throws Exception {
        ZooKeeper zooKeeper = zooKeeper();
        try {
            return zooKeeper.create(path, new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        } finally {
            zooKeeper.close();
        }
    }

    /** A session of its own: the client's is hidden. */
    private ZooKeeper zooKeeper() throws Exception {
        return new ZooKeeper(metadataUri.getAuthority(), 10_000, event -> { });
    }

    /** The names of Stele's error codes. */
    private static String nameOf(Throwable error) {
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            if (cause instanceof BKException) {
                return nameOf(((BKException) cause).getCode());
            }
            if (cause instanceof IllegalStateException) {
                return "WrongBytes";
            }
        }
        return error instanceof ExecutionException || error instanceof CompletionException
            ? error.getCause().getClass().getSimpleName() : error.getClass().getSimpleName();
    }

    private static String nameOf(int code) {
        switch (code) {
            case BKException.Code.ReadException: return "ReadFailed";
            case BKException.Code.DigestMatchException: return "DigestMismatch";
            case BKException.Code.NotEnoughBookiesException: return "NotEnoughBookies";
            case BKException.Code.NoSuchLedgerExistsException: return "NoSuchLedger";
            case BKException.Code.BookieHandleNotAvailableException: return "ConnectionLost";
            case BKException.Code.LedgerRecoveryException: return "RecoveryFailed";
            case BKException.Code.LedgerClosedException: return "LedgerClosed";
            case BKException.Code.WriteException: return "WriteFailed";
            case BKException.Code.NoSuchEntryException: return "NoSuchEntry";
            case BKException.Code.IncorrectParameterException: return "InvalidArgument";
            case BKException.Code.MetadataVersionException: return "MetadataConflict";
            case BKException.Code.LedgerExistException: return "LedgerExists";
            case BKException.Code.DuplicateEntryIdException: return "DuplicateEntry";
            case BKException.Code.TimeoutException: return "Deadline";
            case BKException.Code.NoSuchLedgerExistsOnMetadataServerException:
                return "NoSuchLedgerMetadata";
            case BKException.Code.IllegalOpException: return "Unsupported";
            case BKException.Code.LedgerFencedException: return "LedgerFenced";
            case BKException.Code.UnauthorizedAccessException: return "Unauthorized";
            default: return "code" + code;
        }
    }
}
