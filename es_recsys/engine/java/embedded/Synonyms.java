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
import org.apache.lucene.analysis.synonym.WordnetSynonymParser;
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

/** The filters `synonym` and `synonym_graph`: rules inline or in a file, read through the filters that stand before. */
final class Synonyms extends AbstractTokenFilterFactory {
    private final boolean graph;
    private final boolean expand;
    private final boolean lenient;
    private final boolean wordnet;
    private final AnalysisMode mode;
    private final String rules;

    Synonyms(Environment environment, String name, Settings settings, boolean graph) {
        super(name);
        if (settings.get("synonyms_set") != null) {
            throw new IllegalArgumentException("The embedded node reads [synonyms] and [synonyms_path], not [synonyms_set].");
        }
        boolean updateable = settings.getAsBoolean("updateable", false);
        this.graph = graph;
        this.expand = settings.getAsBoolean("expand", true);
        this.lenient = settings.getAsBoolean("lenient", updateable);
        this.wordnet = "wordnet".equalsIgnoreCase(settings.get("format", ""));
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
        throw new IllegalStateException("Synonyms are built with the analyzer that they stand in");
    }

    @Override
    public TokenFilterFactory getChainAwareTokenFilterFactory(IndexCreationContext context, TokenizerFactory tokenizer,
            List<CharFilterFactory> charFilters, List<TokenFilterFactory> before, Function<String, TokenFilterFactory> all) {
        TokenFilterFactory[] chain = before.stream().map(TokenFilterFactory::getSynonymFilter).toArray(TokenFilterFactory[]::new);
        Analyzer analyzer = new CustomAnalyzer(tokenizer, charFilters.toArray(new CharFilterFactory[0]), chain);
        SynonymMap map = read(analyzer);
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
                // Rules of a later synonym filter are read as they are written.
                return IDENTITY_FILTER;
            }

            @Override
            public AnalysisMode getAnalysisMode() {
                return mode;
            }
        };
    }

    private SynonymMap read(Analyzer analyzer) {
        try (Reader reader = new StringReader(rules)) {
            SynonymMap.Parser parser = wordnet ? wordnet(analyzer) : solr(analyzer);
            parser.parse(reader);
            return parser.build();
        } catch (Exception e) {
            throw new IllegalArgumentException("failed to build synonyms from [" + name() + "]", e);
        }
    }

    private SynonymMap.Parser solr(Analyzer analyzer) {
        return new SolrSynonymParser(true, expand, analyzer) {
            @Override
            public void add(CharsRef input, CharsRef output, boolean original) {
                if (keeps(input, output)) {
                    super.add(input, output, original);
                }
            }

            @Override
            public CharsRef analyze(String text, CharsRefBuilder reuse) throws IOException {
                try {
                    return super.analyze(text, reuse);
                } catch (IllegalArgumentException e) {
                    return forgiven(reuse, e);
                }
            }
        };
    }

    private SynonymMap.Parser wordnet(Analyzer analyzer) {
        return new WordnetSynonymParser(true, expand, analyzer) {
            @Override
            public void add(CharsRef input, CharsRef output, boolean original) {
                if (keeps(input, output)) {
                    super.add(input, output, original);
                }
            }

            @Override
            public CharsRef analyze(String text, CharsRefBuilder reuse) throws IOException {
                try {
                    return super.analyze(text, reuse);
                } catch (IllegalArgumentException e) {
                    return forgiven(reuse, e);
                }
            }
        };
    }

    private boolean keeps(CharsRef input, CharsRef output) {
        return lenient == false || input.length > 0 && output.length > 0;
    }

    private CharsRef forgiven(CharsRefBuilder reuse, IllegalArgumentException error) {
        if (lenient == false) {
            throw error;
        }
        reuse.clear();
        return reuse.get();
    }
}
