package embedded;

import java.util.function.UnaryOperator;
import org.apache.lucene.analysis.TokenStream;
import org.elasticsearch.index.analysis.AbstractTokenFilterFactory;
import org.elasticsearch.index.analysis.TokenFilterFactory;

/** A token filter made from a function, with its use in normalizers and in the parsing of synonym rules. */
final class TokenFilter extends AbstractTokenFilterFactory {
    /** What a filter makes of a token, which decides where it may be used. */
    enum Kind {
        /** Changes or drops words; leaves keywords and prefixes of words as they are. */
        WORD,
        /** Changes characters, of keywords and prefixes too. */
        CHARACTER,
        /** Makes several tokens of one, so that no synonym rule can be parsed through it. */
        MULTIPLYING
    }

    private final Kind kind;
    private final UnaryOperator<TokenStream> filter;
    private final UnaryOperator<TokenStream> single;

    TokenFilter(String name, Kind kind, UnaryOperator<TokenStream> filter) {
        this(name, kind, filter, filter);
    }

    /** single: the filter in normalizers and synonym rules, where it has to make one token of one. */
    TokenFilter(String name, Kind kind, UnaryOperator<TokenStream> filter, UnaryOperator<TokenStream> single) {
        super(name);
        this.kind = kind;
        this.filter = filter;
        this.single = single;
    }

    Kind kind() {
        return kind;
    }

    @Override
    public TokenStream create(TokenStream in) {
        return filter.apply(in);
    }

    @Override
    public TokenStream normalize(TokenStream in) {
        return kind == Kind.CHARACTER ? single.apply(in) : in;
    }

    @Override
    public TokenFilterFactory getSynonymFilter() {
        if (kind == Kind.MULTIPLYING) {
            throw new IllegalArgumentException("Token filter [" + name() + "] cannot be used to parse synonyms");
        }
        return single == filter ? this : new TokenFilter(name(), kind, single);
    }
}
