package embedded;

import java.util.function.UnaryOperator;
import org.apache.lucene.analysis.TokenStream;
import org.elasticsearch.index.analysis.AbstractTokenFilterFactory;
import org.elasticsearch.index.analysis.TokenFilterFactory;

/** A token filter made from a function, with its place in normalizers and in the reading of synonym rules. */
final class Filter extends AbstractTokenFilterFactory {
    private final UnaryOperator<TokenStream> filter;
    private final UnaryOperator<TokenStream> forSynonyms;
    private final boolean normalizes;

    private Filter(String name, UnaryOperator<TokenStream> filter, UnaryOperator<TokenStream> forSynonyms, boolean normalizes) {
        super(name);
        this.filter = filter;
        this.forSynonyms = forSynonyms;
        this.normalizes = normalizes;
    }

    /** Changes tokens one by one. */
    static Filter of(String name, UnaryOperator<TokenStream> filter) {
        return new Filter(name, filter, filter, false);
    }

    /** Changes characters of a token in a way that a keyword, or a prefix of a word, can bear too. */
    static Filter normalizing(String name, UnaryOperator<TokenStream> filter) {
        return new Filter(name, filter, filter, true);
    }

    /** The same, where it also keeps the token as it was, which synonym rules can't be read with. */
    static Filter normalizing(String name, UnaryOperator<TokenStream> filter, UnaryOperator<TokenStream> single) {
        return new Filter(name, filter, single, true);
    }

    /** Makes several tokens of one, so that no synonym rule can be read through it. */
    static Filter multiplying(String name, UnaryOperator<TokenStream> filter) {
        return new Filter(name, filter, null, false);
    }

    @Override
    public TokenStream create(TokenStream in) {
        return filter.apply(in);
    }

    @Override
    public TokenStream normalize(TokenStream in) {
        if (normalizes == false) {
            return in;
        }
        return forSynonyms.apply(in);
    }

    @Override
    public TokenFilterFactory getSynonymFilter() {
        if (forSynonyms == null) {
            throw new IllegalArgumentException("Token filter [" + name() + "] cannot be used to parse synonyms");
        }
        return forSynonyms == filter ? this : new Filter(name(), forSynonyms, forSynonyms, normalizes);
    }
}
