import com.dylibso.chicory.compiler.MachineFactoryCompiler;
import com.dylibso.chicory.wasm.Parser;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.roastedroot.proxywasm.LogLevel;
import io.roastedroot.proxywasm.MetricType;
import io.roastedroot.proxywasm.SharedData;
import io.roastedroot.proxywasm.SimpleMetricsHandler;
import io.roastedroot.proxywasm.WasmException;
import io.roastedroot.proxywasm.internal.ArrayProxyMap;
import io.roastedroot.proxywasm.internal.Handler;
import io.roastedroot.proxywasm.internal.ProxyMap;
import io.roastedroot.proxywasm.internal.ProxyWasm;
import io.roastedroot.proxywasm.internal.WasmResult;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/**
 * An HTTP server that runs the module by proxy-wasm-java-host, a Proxy-Wasm host without Envoy: it has no foreign
 * functions, so no verify_signature. Its clock has 32 bits of nanoseconds, so it is always 1970. A request that the module lets pass is answered with the headers that would go
 * on, one per line. Usage: java Host.java MODULE CONFIG
 */
public class Host {
    private static ProxyWasm wasm;

    public static void main(String[] arguments) throws Exception {
        var module = Parser.parse(Path.of(arguments[0]));
        var plugin = new Plugin(Files.readAllBytes(Path.of(arguments[1])));
        wasm = ProxyWasm.builder()
                .withMachineFactory(MachineFactoryCompiler.compile(module))
                .withPluginHandler(plugin)
                .withStart(false)
                .build(module);
        wasm.start();
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        // One thread: the VM is one.
        server.createContext("/", exchange -> {
            try {
                serve(plugin, exchange);
            } catch (RuntimeException | Error problem) {
                problem.printStackTrace(System.out);
                exchange.sendResponseHeaders(500, -1);
            }
            exchange.close();
        });
        server.start();
        System.out.println("listening " + server.getAddress().getPort());
    }

    private static void serve(Plugin plugin, HttpExchange exchange) throws IOException {
        var request = new Request(plugin, exchange);
        synchronized (wasm) {
            var context = wasm.createHttpContext(request);
            context.callOnRequestHeaders(true);
            context.close();
        }
        if (request.status == 0) {
            request.status = 200;
            var body = new StringBuilder();
            for (Map.Entry<String, String> header : request.headers.entries()) {
                body.append(header.getKey()).append(": ").append(header.getValue()).append('\n');
            }
            request.body = body.toString().getBytes(StandardCharsets.UTF_8);
        }
        exchange.sendResponseHeaders(request.status, request.body.length);
        exchange.getResponseBody().write(request.body);
    }

    /** What the module has from its host, apart from requests. */
    private static class Plugin implements Handler {
        private final SimpleMetricsHandler metrics = new SimpleMetricsHandler();
        private final Map<String, SharedData> shared = new HashMap<>();
        private final byte[] config;
        private boolean ticks;

        Plugin(byte[] config) {
            this.config = config;
        }

        @Override
        public byte[] getPluginConfig() {
            return config;
        }

        @Override
        public void log(LogLevel level, String message) {
            System.out.println("log " + level + " " + message);
        }

        @Override
        public WasmResult setTickPeriodMilliseconds(int period) {
            if (period > 0 && !ticks) {
                ticks = true;
                Executors.newSingleThreadScheduledExecutor().scheduleAtFixedRate(() -> {
                    synchronized (wasm) {
                        wasm.tick();
                    }
                }, period, period, TimeUnit.MILLISECONDS);
            }
            return WasmResult.OK;
        }

        @Override
        public int defineMetric(MetricType type, String name) throws WasmException {
            return metrics.defineMetric(type, name);
        }

        @Override
        public WasmResult incrementMetric(int metric, long value) {
            return metrics.incrementMetric(metric, value);
        }

        @Override
        public WasmResult recordMetric(int metric, long value) {
            return metrics.recordMetric(metric, value);
        }

        @Override
        public SharedData getSharedData(String key) throws WasmException {
            if (!shared.containsKey(key)) {
                throw new WasmException(WasmResult.NOT_FOUND);
            }
            return shared.get(key);
        }

        /** As Envoy does it: what is not there has no version that could differ. */
        @Override
        public WasmResult setSharedData(String key, byte[] value, int cas) {
            SharedData old = shared.get(key);
            if (old != null && cas != 0 && cas != old.cas()) {
                return WasmResult.CAS_MISMATCH;
            }
            shared.put(key, new SharedData(value, old == null ? 1 : old.cas() + 1));
            return WasmResult.OK;
        }
    }

    /** A request, with the pseudo-headers that proxies show, and what the module answers. */
    private static final class Request extends Plugin {
        final ArrayProxyMap headers = new ArrayProxyMap();
        int status;
        byte[] body;
        private final Plugin plugin;
        private final HttpExchange exchange;
        private final Map<List<String>, byte[]> properties = new HashMap<>();

        Request(Plugin plugin, HttpExchange exchange) {
            super(plugin.config);
            this.plugin = plugin;
            this.exchange = exchange;
            headers.add(":method", exchange.getRequestMethod());
            headers.add(":path", exchange.getRequestURI().toString());
            headers.add(":scheme", "http");
            headers.add(":authority", exchange.getRequestHeaders().getFirst("host"));
            exchange.getRequestHeaders().forEach((name, values) -> {
                if (!name.equalsIgnoreCase("host")) {
                    values.forEach(value -> headers.add(name.toLowerCase(), value));
                }
            });
        }

        @Override
        public ProxyMap getHttpRequestHeaders() {
            return headers;
        }

        @Override
        public WasmResult sendHttpResponse(int status, byte[] details, byte[] body, ProxyMap headers, int grpc) {
            this.status = status;
            this.body = body;
            for (Map.Entry<String, String> header : headers.entries()) {
                exchange.getResponseHeaders().add(header.getKey(), header.getValue());
            }
            return WasmResult.OK;
        }

        @Override
        public byte[] getProperty(List<String> path) throws WasmException {
            if (!properties.containsKey(path)) {
                throw new WasmException(WasmResult.NOT_FOUND);
            }
            return properties.get(path);
        }

        @Override
        public WasmResult setProperty(List<String> path, byte[] value) {
            properties.put(path, value);
            return WasmResult.OK;
        }

        @Override
        public WasmResult incrementMetric(int metric, long value) {
            return plugin.incrementMetric(metric, value);
        }

        @Override
        public WasmResult recordMetric(int metric, long value) {
            return plugin.recordMetric(metric, value);
        }

        @Override
        public SharedData getSharedData(String key) throws WasmException {
            return plugin.getSharedData(key);
        }

        @Override
        public WasmResult setSharedData(String key, byte[] value, int cas) {
            return plugin.setSharedData(key, value, cas);
        }
    }
}
