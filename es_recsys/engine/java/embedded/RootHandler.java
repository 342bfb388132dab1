package embedded;

import java.util.List;
import java.util.function.Supplier;
import org.apache.lucene.util.Version;
import org.elasticsearch.Build;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.ClusterState;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.xcontent.XContentBuilder;

/** GET / and HEAD /: who answers, in the fields that clients look at. */
final class RootHandler extends BaseRestHandler {
    private final Settings settings;
    private final Supplier<ClusterState> state;

    RootHandler(Settings settings, Supplier<ClusterState> state) {
        this.settings = settings;
        this.state = state;
    }

    @Override
    public String getName() {
        return "embedded_root";
    }

    @Override
    public List<Route> routes() {
        return List.of(new Route(RestRequest.Method.GET, "/"), new Route(RestRequest.Method.HEAD, "/"));
    }

    @Override
    protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
        return channel -> {
            XContentBuilder body = channel.newBuilder();
            Build build = Build.current();
            body.startObject()
                .field("name", settings.get("node.name"))
                .field("cluster_name", settings.get("cluster.name"))
                .field("cluster_uuid", state.get().metadata().clusterUUID());
            body.startObject("version")
                .field("number", build.version())
                .field("build_flavor", "embedded")
                .field("build_type", build.type().displayName())
                .field("build_hash", build.hash())
                .field("build_date", build.date())
                .field("build_snapshot", build.isSnapshot())
                .field("lucene_version", Version.LATEST.toString())
                .field("minimum_wire_compatibility_version", build.minWireCompatVersion())
                .field("minimum_index_compatibility_version", build.minIndexCompatVersion())
                .endObject();
            body.field("tagline", "You Know, for Search").endObject();
            channel.sendResponse(new RestResponse(RestStatus.OK, body));
        };
    }
}
