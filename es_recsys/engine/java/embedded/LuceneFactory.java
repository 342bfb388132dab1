package embedded;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.apache.lucene.analysis.TokenFilterFactory;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.TokenizerFactory;
import org.elasticsearch.common.settings.Settings;

/** A factory of Lucene by its name there (in any case), and which of Elasticsearch's settings become its arguments. */
record LuceneFactory(String name, List<Argument> arguments) {
    private record Argument(String name, String setting, String otherwise) {}

    static LuceneFactory of(String name) {
        return new LuceneFactory(name, List.of());
    }

    /** The same factory with one more argument, which has the value `otherwise` where the setting is absent. */
    LuceneFactory with(String argument, String setting, Object otherwise) {
        List<Argument> more = new ArrayList<>(arguments);
        more.add(new Argument(argument, setting, otherwise.toString()));
        return new LuceneFactory(name, List.copyOf(more));
    }

    UnaryOperator<TokenStream> filter(Settings settings) {
        return TokenFilterFactory.forName(name, values(settings))::create;
    }

    Supplier<Tokenizer> tokenizer(Settings settings) {
        return TokenizerFactory.forName(name, values(settings))::create;
    }

    private Map<String, String> values(Settings settings) {
        // A factory takes out of the map what it has understood.
        Map<String, String> values = new HashMap<>();
        arguments.forEach(argument -> values.put(argument.name(), settings.get(argument.setting(), argument.otherwise())));
        return values;
    }
}
