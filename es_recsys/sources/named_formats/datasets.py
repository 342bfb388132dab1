"""Data sets of research, one row each.

grouplens.org/datasets/movielens, msnews.github.io, cseweb.ucsd.edu/~jmcauley/datasets.html (Amazon, Steam, Goodreads), Kaggle
(Retailrocket, H&M, REES46, Steam 200K, Book-Crossing).
"""

from __future__ import annotations

from es_recsys.sources.list_cells import ListFormat
from es_recsys.sources.named_formats import dataset_rows as rows
from es_recsys.sources.named_formats.form import Form, NamedFormat

__all__ = ["DATASETS"]

_DIGITS, _STARS, _EPOCH = r"[0-9]+", r"[0-9](?:\.[0-9])?", r"[0-9]{9,10}"
_ASIN, _REVIEWER = "[A-Z0-9]{10}", "A[A-Z0-9]{10,}"
_RATING = {"event_type": "rating"}
_PURCHASE = {"event_type": "purchase"}
_GENRES_OF_100K = (
    "unknown Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy Film-Noir Horror Musical Mystery"
    " Romance Sci-Fi Thriller War Western"
)

_MOVIELENS = NamedFormat(
    "movielens",
    "MovieLens (100K, 1M, 10M, 20M, 25M, latest)",
    items=(
        Form("movies.csv", ("movieId", "title", "genres"), rows=rows.movies),
        Form(
            "movies.dat",
            cells={"movieId": _DIGITS, "title": ".+", "genres": ".+"},
            separator="::",
            encoding="latin-1",
            rows=rows.movies,
        ),
        Form(
            "u.item",
            cells={"movieId": _DIGITS, "title": ".+", "created_at": ".*", "video_release": ".*", "url": ".*"}
            | dict.fromkeys(_GENRES_OF_100K.split(), "[01]"),
            separator="|",
            encoding="latin-1",
            rows=rows.movies_of_100k,
        ),
    ),
    events=(
        Form(
            "ratings.csv",
            ("userId", "movieId", "rating", "timestamp"),
            {"user_id": "userId", "item_id": "movieId", "value": "rating"},
            constants=_RATING,
            rating_scale="0.5..5",
        ),
        Form(
            "ratings.dat",
            cells={"user_id": _DIGITS, "item_id": _DIGITS, "value": _STARS, "timestamp": _EPOCH},
            constants=_RATING,
            separator="::",
            notes=("its scale is that of its ratings: 1 to 5 in 1M, 0.5 to 5 in 10M",),
        ),
        Form(
            "u.data",
            cells={"user_id": _DIGITS, "item_id": _DIGITS, "value": "[1-5]", "timestamp": _EPOCH},
            constants=_RATING,
            separator="\t",
            rating_scale="1..5",
        ),
    ),
)

_MIND = NamedFormat(
    "mind",
    "MIND, Microsoft's news",
    items=(
        Form(
            "news.tsv",
            cells={"item_id": "N[0-9]+", "category": ".*", "subcategory": ".*", "title": ".*"}
            | dict.fromkeys(("abstract", "url", "title_entities", "abstract_entities"), ".*"),
            separator="\t",
            rows=rows.news,
        ),
    ),
    events=(
        Form(
            "behaviors.tsv",
            cells={"impression_id": _DIGITS, "user_id": "U[0-9]+", "timestamp": r"[0-9]+/[0-9]+/[0-9]{4} .+"}
            | {"history": "(?:N[0-9]+ ?)*", "impressions": r"(?:N[0-9]+(?:-[01])? ?)+"},
            separator="\t",
            day_first=False,
            rows=rows.news_impressions,
            notes=(
                "each article shown is an event `impression`, and a `click` where it was clicked; clicks of the history have no"
                " times, and are spread over the four weeks that end a week before the user's first line",
            ),
        ),
    ),
)

_RETAILROCKET = NamedFormat(
    "retailrocket",
    "Retailrocket",
    items=(
        Form(
            "item_properties_part1.csv",
            ("timestamp", "itemid", "property", "value"),
            rows=rows.item_properties,
            notes=("`categoryid` and `available` are read; the other properties are hashed and left out",),
        ),
    ),
    events=(
        Form(
            "events.csv",
            ("timestamp", "visitorid", "event", "itemid"),
            rows=rows.retailrocket_events,
        ),
    ),
)

_NO_AMAZON_EVENT = ("reviewerID", "overall", "user_id", "rating")
_AMAZON = NamedFormat(
    "amazon",
    "Amazon reviews (2014, 2018, 2023)",
    items=(
        Form(
            "meta_*.jsonl of 2023",
            ("parent_asin", "main_category"),
            {"item_id": "parent_asin", "brand": "store", "image": "images", "asin": "-", "details": "-", "videos": "-"}
            | {"bought_together": "-", "subtitle": "-", "author": "-"},
            unlike=_NO_AMAZON_EVENT,
        ),
        Form(
            "meta_*.json of 2014 or 2018",
            ("asin", "title"),
            {"item_id": "asin", "categories": "category", "image": "imageURLHighRes"}
            | dict.fromkeys(("also_buy", "also_view", "related", "details", "rank", "salesRank", "similar_item"), "-")
            | dict.fromkeys(("tech1", "tech2", "fit", "date", "imageURL", "main_cat"), "-"),
            unlike=(*_NO_AMAZON_EVENT, "parent_asin"),
        ),
    ),
    events=(
        Form(
            "reviews of 2023",
            ("user_id", "parent_asin", "rating", "timestamp"),
            {"item_id": "parent_asin", "value": "rating"},
            constants=_RATING,
            rating_scale="1..5",
        ),
        Form(
            "reviews of 2014 or 2018",
            ("reviewerID", "asin", "overall", "unixReviewTime"),
            {"user_id": "reviewerID", "item_id": "asin", "value": "overall", "timestamp": "unixReviewTime"},
            constants=_RATING,
            rating_scale="1..5",
        ),
        Form(
            "ratings only of 2014",
            cells={"user_id": _REVIEWER, "item_id": _ASIN, "value": r"[1-5](?:\.0)?", "timestamp": _EPOCH},
            constants=_RATING,
            separator=",",
            rating_scale="1..5",
        ),
        Form(
            "ratings only of 2018",
            cells={"item_id": _ASIN, "user_id": _REVIEWER, "value": r"[1-5](?:\.0)?", "timestamp": _EPOCH},
            constants=_RATING,
            separator=",",
            rating_scale="1..5",
        ),
    ),
)

_STEAM = NamedFormat(
    "steam",
    "Steam (UCSD, and the 200K of Kaggle)",
    items=(Form("steam_games.json", ("app_name", "id"), rows=rows.games),),
    events=(
        Form(
            "australian_user_reviews.json",
            ("user_id", "reviews"),
            rows=rows.game_reviews,
            actions={rows.REVIEW_WITHOUT_YEAR: "ignore"},
        ),
        Form(
            "australian_users_items.json",
            ("user_id", "items", "items_count"),
            timestamps=False,
            rows=rows.games_of_users,
            notes=("a game that somebody has is a `purchase`, one that was played a `dwell` as well",),
        ),
        Form(
            "steam_reviews.json",
            ("username", "product_id", "date"),
            {"user_id": "username", "item_id": "product_id", "timestamp": "date"},
            constants=_PURCHASE,
            notes=("who writes of a game has it: each review is a `purchase`",),
        ),
        Form(
            "steam-200k.csv",
            cells={"user_id": _DIGITS, "item_id": ".+", "event_type": "purchase|play", "value": r"[0-9.]+", "zero": "0"},
            separator=",",
            timestamps=False,
            rows=rows.games_200k,
        ),
    ),
)

_HM = NamedFormat(
    "hm",
    "H&M personalised fashion",
    items=(
        Form(
            "articles.csv",
            ("article_id", "prod_name", "product_group_name"),
            rows=rows.articles,
        ),
    ),
    events=(
        Form(
            "transactions_train.csv",
            ("t_dat", "customer_id", "article_id"),
            {"timestamp": "t_dat", "user_id": "customer_id", "item_id": "article_id"},
            constants=_PURCHASE,
        ),
    ),
)

_GOODREADS = NamedFormat(
    "goodreads",
    "Goodreads (UCSD book graph)",
    items=(Form("goodreads_books.json", ("book_id", "title", "popular_shelves"), rows=rows.books),),
    events=(
        Form(
            "goodreads_interactions.json",
            ("user_id", "book_id", "rating", "date_added"),
            rating_scale="1..5",
            rows=rows.book_interactions,
        ),
        Form(
            "goodreads_interactions.csv",
            ("user_id", "book_id", "is_read", "rating"),
            timestamps=False,
            rating_scale="1..5",
            rows=rows.book_interactions,
            notes=("its ids are not those of goodreads_books.json: book_id_map.csv says which are which",),
        ),
    ),
)

_BOOKCROSSING = NamedFormat(
    "bookcrossing",
    "Book-Crossing",
    items=(
        Form(
            "BX-Books.csv",
            ("ISBN", "Book-Title", "Book-Author"),
            {"item_id": "ISBN", "title": "Book-Title", "author": "Book-Author", "brand": "Publisher", "image": "Image-URL-L"}
            | {"year": "Year-Of-Publication", "Image-URL-*": "-"},
            encoding="latin-1",
        ),
    ),
    events=(
        Form(
            "BX-Book-Ratings.csv",
            ("User-ID", "ISBN", "Book-Rating"),
            encoding="latin-1",
            timestamps=False,
            rating_scale="1..10",
            rows=rows.book_ratings,
            notes=("a rating of 0 says that the book was seen, not how good it is: it is a `view`",),
        ),
    ),
)

_REES46 = NamedFormat(
    "rees46",
    "REES46 (eCommerce behaviour data of Kaggle)",
    items=(
        Form(
            "2019-Oct.csv",
            ("product_id", "category_code", "brand", "price"),
            lists={"": ListFormat("", ".")},
            rows=rows.products_of_rees46,
            notes=("the products of its events; they have no titles, so brand and kind are put together",),
        ),
    ),
    events=(
        Form(
            "2019-Oct.csv",
            ("event_time", "event_type", "product_id", "user_id"),
            {"timestamp": "event_time", "item_id": "product_id", "session_id": "user_session"},
        ),
    ),
)

DATASETS = (_MOVIELENS, _MIND, _RETAILROCKET, _AMAZON, _STEAM, _HM, _GOODREADS, _BOOKCROSSING, _REES46)
