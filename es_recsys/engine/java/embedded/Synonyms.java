package embedded;

import java.io.IOException;
import java.io.Reader;
import java.io.StringReader;
import java.util.List;
import java.util.function.Function;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.synonym.SolrSynonymParser;
import org.apache.lucene.analysis.synonym.SynonymFilter;
import org.apache.lucene.analysis.synonym.SynonymGraphFilter;
import org.apache.lucene.analysis.synonym.SynonymMap;
import org.apache.lucene.util.CharsRef;
import org.apache.lucene.util.CharsRefBuilder;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.index.IndexService.IndexCreationContext;
import org.elasticsearch.index.analysis.AbstractTokenFilterFactory;
import org.elasticsearch.index.analysis.Analysis;
import org.elasticsearch.index.analysis.AnalysisMode;
import org.elasticsearch.index.analysis.CharFilterFactory;
import org.elasticsearch.index.analysis.CustomAnalyzer;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;

/** The filters `synonym` and `synonym_graph`: rules inline or in a file, parsed through the filters that come before. */
final class Synonyms extends AbstractTokenFilterFactory {
    private final boolean graph;
    private final boolean expand;
    private final boolean lenient;
    private final AnalysisMode mode;
    private final String rules;

    Synonyms(Environment environment, String name, Settings settings, boolean graph) {
        super(name);
        if (settings.get("synonyms_set") != null) {
            throw new IllegalArgumentException("The embedded node reads [synonyms] and [synonyms_path], not [synonyms_set].");
        }
        if (settings.get("format", "solr").equalsIgnoreCase("solr") == false) {
            throw new IllegalArgumentException("The embedded node reads synonyms in the format [solr] alone.");
        }
        boolean updateable = settings.getAsBoolean("updateable", false);
        this.graph = graph;
        this.expand = settings.getAsBoolean("expand", true);
        this.lenient = settings.getAsBoolean("lenient", updateable);
        this.mode = updateable ? AnalysisMode.SEARCH_TIME : AnalysisMode.ALL;
        List<String> lines = Analysis.getWordList(environment, settings, "synonyms_path", "synonyms", false);
        if (lines == null) {
            throw new IllegalArgumentException("synonym requires either `synonyms` or `synonyms_path` to be configured");
        }
        this.rules = String.join("\n", lines);
    }

    @Override
    public AnalysisMode getAnalysisMode() {
        return mode;
    }

    @Override
    public TokenStream create(TokenStream in) {
        throw new IllegalStateException("Synonyms are built with the analyzer that they are part of");
    }

    @Override
    public TokenFilterFactory getChainAwareTokenFilterFactory(IndexCreationContext context, TokenizerFactory tokenizer,
            List<CharFilterFactory> charFilters, List<TokenFilterFactory> before, Function<String, TokenFilterFactory> all) {
        TokenFilterFactory[] chain = before.stream().map(TokenFilterFactory::getSynonymFilter).toArray(TokenFilterFactory[]::new);
        Analyzer analyzer = new CustomAnalyzer(tokenizer, charFilters.toArray(new CharFilterFactory[0]), chain);
        SynonymMap map = parse(analyzer);
        String name = name();
        return new TokenFilterFactory() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public TokenStream create(TokenStream in) {
                if (map.fst == null) {
                    return in;
                }
                return graph ? new SynonymGraphFilter(in, map, false) : new SynonymFilter(in, map, false);
            }

            @Override
            public TokenFilterFactory getSynonymFilter() {
                // Rules of a later synonym filter are parsed without this one.
                return IDENTITY_FILTER;
            }

            @Override
            public AnalysisMode getAnalysisMode() {
                return mode;
            }
        };
    }

    private SynonymMap parse(Analyzer analyzer) {
        SolrSynonymParser parser = new SolrSynonymParser(true, expand, analyzer) {
            @Override
            public void add(CharsRef input, CharsRef output, boolean original) {
                if (lenient == false || input.length > 0 && output.length > 0) {
                    super.add(input, output, original);
                }
            }

            @Override
            public CharsRef analyze(String text, CharsRefBuilder reuse) throws IOException {
                try {
                    return super.analyze(text, reuse);
                } catch (IllegalArgumentException e) {
                    if (lenient == false) {
                        throw e;
                    }
                    reuse.clear();
                    return reuse.get();
                }
            }
        };
        try (Reader reader = new StringReader(rules)) {
            parser.parse(reader);
            return parser.build();
        } catch (Exception e) {
            throw new IllegalArgumentException("failed to build synonyms from [" + name() + "]", e);
        }
    }
}
