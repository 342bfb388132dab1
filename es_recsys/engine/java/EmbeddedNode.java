import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.transport.TransportAddress;
import org.elasticsearch.env.Environment;
import org.elasticsearch.http.HttpServerTransport;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;
import org.elasticsearch.transport.TransportService;

/**
 * Runs one Elasticsearch node: EmbeddedNode HOME CONFIG READY PARENT key=value...
 *
 * HOME has lib/ and modules/, CONFIG the log4j2.properties. Once the node answers, READY holds two lines: its HTTP
 * address and its transport address. The node ends when the process with the id PARENT does, or when its standard input
 * is closed, whichever comes first: the kernel closes the pipe even of a killed parent. One byte on the standard input
 * detaches it: from then on it outlives its parent.
 */
public class EmbeddedNode {
    private static final int CLOSE_SECONDS = 20;
    private static final AtomicBoolean EXITING = new AtomicBoolean();
    private static volatile boolean detached;

    public static void main(String[] args) throws Exception {
        Path home = Path.of(args[0]);
        Path config = Path.of(args[1]);
        Path ready = Path.of(args[2]);
        long parent = Long.parseLong(args[3]);
        exitWith(parent);
        Settings.Builder settings = Settings.builder().put("path.home", home.toString());
        for (int i = 4; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        LogConfigurator.registerErrorListener();
        Environment environment = new Environment(settings.build(), config);
        LogConfigurator.setNodeName(environment.settings().get("node.name"));
        LogConfigurator.configure(environment, false);
        PluginsLoader loader = PluginsLoader.createPluginsLoader(
            PluginsLoader.loadModulesBundles(environment.modulesDir()),
            PluginsLoader.loadPluginsBundles(environment.pluginsDir()),
            Map.of());
        Node node = new Node(environment, loader);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node), "close-node"));
        node.start();
        writeReadyFile(node, ready);
        Thread.currentThread().join();
    }

    private static void writeReadyFile(Node node, Path ready) throws Exception {
        TransportAddress http = node.injector().getInstance(HttpServerTransport.class).boundAddress().publishAddress();
        TransportAddress transport = node.injector().getInstance(TransportService.class).boundAddress().publishAddress();
        Path draft = ready.resolveSibling(ready.getFileName() + ".draft");
        Files.writeString(draft, http + "\n" + transport + "\n", StandardCharsets.UTF_8);
        Files.move(draft, ready, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }

    private static void exitWith(long parent) {
        ProcessHandle handle = ProcessHandle.current().parent().orElse(null);
        if (handle == null || handle.pid() != parent) {
            Runtime.getRuntime().halt(0);
        }
        handle.onExit().thenRun(EmbeddedNode::exitSoon);
        Thread watch = new Thread(() -> {
            try {
                detached = System.in.read() >= 0;
            } catch (Exception e) {
                e.printStackTrace();
            }
            exit();
        }, "watch-parent");
        watch.setDaemon(true);
        watch.start();
    }

    private static void exitSoon() {
        try {
            // The parent's last act may have been to detach us: let that byte be read first.
            TimeUnit.SECONDS.sleep(1);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        exit();
    }

    private static void exit() {
        if (detached == false && EXITING.compareAndSet(false, true)) {
            // A hook of its own thread: System.exit blocks its caller until all hooks have run.
            new Thread(() -> System.exit(0), "exit").start();
        }
    }

    private static void close(Node node) {
        Thread limit = new Thread(() -> {
            try {
                TimeUnit.SECONDS.sleep(CLOSE_SECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            Runtime.getRuntime().halt(1);
        }, "close-limit");
        limit.setDaemon(true);
        limit.start();
        try {
            node.close();
        } catch (Exception e) {
            e.printStackTrace();
        }
    }
}
