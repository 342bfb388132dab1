"""Rows of data sets of research -> rows with our columns, for files whose shape needs it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import orjson

from es_recsys.sources.list_cells import parse_array
from es_recsys.sources.named_formats.form import Rows, Values, each, first_of_each
from es_recsys.sources.order_lines import order_line_id
from es_recsys.values import TimeFormat, parse_time

__all__ = [
    "REVIEW_WITHOUT_YEAR",
    "articles",
    "book_interactions",
    "book_ratings",
    "books",
    "game_reviews",
    "games",
    "games_200k",
    "games_of_users",
    "item_properties",
    "movies",
    "movies_of_100k",
    "news",
    "news_impressions",
    "products_of_rees46",
    "retailrocket_events",
]

REVIEW_WITHOUT_YEAR = "review posted without a year"
"""Action of a review of which only day and month are known."""

_YEAR = re.compile(r"\((\d{4})\)\s*$")
_NO_GENRES = "(no genres listed)"
_POSTED = re.compile(r"Posted (.*\d{4})\.?\s*$")
_READ_PROPERTIES = {"categoryid": "categories", "available": "available"}
_STATUS_SHELVES = re.compile(r"read|own|shelf|shelves|library|book|kindle|wish|favou?rite|default|to-|my-|-up$")
_MOST_SHELVES = 10
_HISTORY, _BEFORE_LOG = timedelta(days=28), timedelta(days=7)
_MONTH_FIRST = TimeFormat(day_first=False)


@each
def movies(values: Values) -> Values:
    """MovieLens: the year is in the title, and genres are between bars."""
    title = str(values.get("title") or "")
    genres = str(values.get("genres") or "")
    made: Values = {"item_id": values.get("movieId"), "title": title}
    made["categories"] = [] if genres == _NO_GENRES else genres.split("|")
    if (year := _YEAR.search(title)) is not None:
        made["year"] = year[1]
    return made


@each
def movies_of_100k(values: Values) -> Values:
    """MovieLens 100K: a column of 0 or 1 a genre."""
    names = list(values)[5:]
    genres = [name for name in names if values[name].strip() == "1" and name != "unknown"]
    made = {"item_id": values["movieId"], "title": values["title"], "created_at": values["created_at"], "categories": genres}
    return made | ({"year": year[1]} if (year := _YEAR.search(values["title"])) is not None else {})


@each
def news(values: Values) -> Values:
    """MIND: a category and one below it; the entities in title and abstract, as JSON, are tags."""
    entities: dict[str, None] = {}
    for name in ("title_entities", "abstract_entities"):
        with suppress(orjson.JSONDecodeError):
            entities |= {str(one["Label"]): None for one in orjson.loads(values[name] or "[]") if one.get("Label")}
    made = {"item_id": values["item_id"], "title": values["title"], "description": values["abstract"], "tags": list(entities)}
    made["categories"] = [name for name in (values["category"], values["subcategory"]) if name]
    return made | {"url": values["url"]}


def news_impressions(rows: Rows) -> Rows:
    """MIND: an impression for each article that was shown, with its rank; a click where it was clicked; the user's clicks before.

    The history is of four weeks that end before the log, which covers a week; it is read from a user's first line.
    """
    known: set[str] = set()
    for row in rows:
        user_id, time = row.values["user_id"], row.values["timestamp"]
        if user_id not in known:
            known.add(user_id)
            for values in _news_history(user_id, time, row.values["history"].split()):
                yield row._replace(values=values)
        shown = {"user_id": user_id, "timestamp": time, "recommendation_id": row.values["impression_id"]}
        for position, one in enumerate(row.values["impressions"].split(), start=1):
            item_id, _, clicked = one.partition("-")
            values = {**shown, "event_type": "impression", "item_id": item_id, "position": position}
            yield row._replace(values=values)
            if clicked == "1":
                yield row._replace(values={**values, "event_type": "click"})


def _news_history(user_id: str, time: str, clicked: Sequence[str]) -> Iterator[Values]:
    try:
        moment = parse_time(time, _MONTH_FIRST)
    except ValueError:  # which the row's own events tell
        return
    if moment is None:
        return
    step = _HISTORY / max(len(clicked), 1)
    for idx, item_id in enumerate(clicked):
        before = moment - _BEFORE_LOG - step * (len(clicked) - idx)
        values = {"user_id": user_id, "timestamp": before.isoformat(), "event_type": "click", "item_id": item_id}
        yield values | {"event_id": f"history:{idx}:{item_id}"}


def item_properties(rows: Rows) -> Rows:
    """Retailrocket: a row a property of an item, of which two are not hashed."""
    for row in rows:
        field = _READ_PROPERTIES.get(str(row.values.get("property")))
        if field is not None:
            yield row._replace(values={"item_id": row.values.get("itemid"), field: row.values.get("value")})


@each
def retailrocket_events(values: Values) -> Values:
    """Retailrocket: the number of a transaction is that of an order."""
    made = {"user_id": values.get("visitorid"), "item_id": values.get("itemid"), "event_type": values.get("event")}
    made["timestamp"] = values.get("timestamp")
    order = str(values.get("transactionid") or "")
    return made | ({"event_id": order_line_id(order, values.get("itemid"))} if order else {})


@each
def games(values: Values) -> Values:
    """Steam: the name stands under app_name; what is free has words for a price."""
    price = values.get("price")
    made = {
        "item_id": values.get("id"),
        "title": values.get("app_name") or values.get("title"),
        "categories": values.get("genres"),
        "tags": values.get("tags"),
        "brand": values.get("developer"),
        "created_at": values.get("release_date"),
        "price": 0.0 if isinstance(price, str) and "free" in price.lower() else price,
    }
    kept = ("publisher", "specs", "early_access", "sentiment", "discount_price")
    return made | {name: values[name] for name in kept if values.get(name) is not None}


@each
def game_reviews(values: Values) -> list[Values]:
    """Steam: all reviews of a user in one line, each of which recommends a game or doesn't."""
    found = []
    for review in _objects(values.get("reviews")):
        posted = _POSTED.match(str(review.get("posted") or ""))
        liked = "like" if review.get("recommend") in (True, "True", "true") else "dislike"
        found.append(
            {
                "user_id": values.get("user_id"),
                "item_id": review.get("item_id"),
                "event_type": liked if posted is not None else REVIEW_WITHOUT_YEAR,
                "timestamp": posted[1] if posted is not None else None,
            }
        )
    return found


@each
def games_of_users(values: Values) -> list[Values]:
    """Steam: all games that a user has, with the minutes that they were played."""
    found = []
    for game in _objects(values.get("items")):
        own = {"user_id": values.get("user_id"), "item_id": game.get("item_id")}
        found.append({**own, "event_type": "purchase"})
        if (minutes := _number(game.get("playtime_forever"))) > 0:
            found.append({**own, "event_type": "dwell", "value": 60.0 * minutes})
    return found


@each
def games_200k(values: Values) -> Values:
    """Steam 200K: a row a purchase, and a row the hours of play."""
    made = {name: values[name] for name in ("user_id", "item_id", "event_type")}
    if values["event_type"] == "play":
        return made | {"event_type": "dwell", "value": 3_600.0 * _number(values["value"])}
    return made


@each
def articles(values: Values) -> Values:
    """H&M: the colours of a product are its articles; the levels of its section are names in columns of their own."""
    levels = ("index_group_name", "product_group_name", "product_type_name")
    made = {
        "item_id": values.get("article_id"),
        "group_id": values.get("product_code"),
        "title": values.get("prod_name"),
        "description": values.get("detail_desc"),
        "categories": list(dict.fromkeys(name for level in levels if (name := values.get(level)))),
    }
    numbers = ("_no", "_code", "_id")
    others = {name: value for name, value in values.items() if name not in (*levels, "prod_name", "detail_desc")}
    return made | {name: value for name, value in others.items() if not name.endswith(numbers)}


@each
def books(values: Values) -> Values:
    """Goodreads: the shelves that readers put a book on are tags, but for those that say what they do with it."""
    shelves = [str(shelf.get("name")) for shelf in _objects(values.get("popular_shelves"))]
    made = {
        "item_id": values.get("book_id"),
        "title": values.get("title"),
        "description": values.get("description"),
        "tags": [name for name in shelves if not _STATUS_SHELVES.search(name)][:_MOST_SHELVES],
        "brand": values.get("publisher"),
        "image": values.get("image_url"),
    }
    for name in ("publication_year", "num_pages", "average_rating", "ratings_count"):
        if (number := _number(values.get(name))) > 0:
            made[name] = number
    return made | {name: values[name] for name in ("format", "language_code", "isbn13") if values.get(name) not in (None, "")}


@each
def book_interactions(values: Values) -> Values:
    """Goodreads: a rating of 0 is none; a book without one was read, or put on a shelf to be read."""
    made = {"user_id": values.get("user_id"), "item_id": values.get("book_id"), "timestamp": values.get("date_added")}
    rating = _number(values.get("rating"))
    if rating > 0:
        return made | {"event_type": "rating", "value": rating}
    read = str(values.get("is_read", values.get("isRead"))).lower() in ("1", "true")
    return made | {"event_type": "view" if read else "like"}


@each
def book_ratings(values: Values) -> Values:
    """Book-Crossing: 1 to 10 is a rating, 0 says that there was some other interaction."""
    made = {"user_id": values.get("User-ID"), "item_id": values.get("ISBN")}
    rating = values.get("Book-Rating")
    return made | ({"event_type": "view"} if str(rating).strip() == "0" else {"event_type": "rating", "value": rating})


def products_of_rees46(rows: Rows) -> Rows:
    """REES46: the product of each event, whose kind is a code such as electronics.smartphone."""
    return first_of_each(_rees46(rows))


@each
def _rees46(values: Values) -> Values:
    kind, brand = str(values.get("category_code") or ""), values.get("brand")
    made = {"item_id": values.get("product_id"), "categories": kind, "brand": brand, "price": values.get("price")}
    title = " ".join(part for part in (str(brand or ""), kind.rpartition(".")[2].replace("_", " ")) if part)
    return made | {"title": title}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """Return the objects of a list, or of the text of one."""
    found = parse_array(value) if isinstance(value, str) else value
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _number(value: Any) -> float:
    with suppress(TypeError, ValueError):
        return float(value)
    return 0.0
