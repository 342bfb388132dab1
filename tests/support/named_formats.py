"""A few lines in the true form of each file that a named format has: made up, but written as its makers write them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

__all__ = ["SAMPLES", "Sample"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A file of a format. kind: "items" or "events"; content: its bytes."""

    format: str
    kind: str
    file: str
    content: bytes

    def write(self, folder: Path) -> Path:
        path = folder / self.file
        path.write_bytes(self.content)
        return path

    def __str__(self) -> str:
        return f"{self.format}-{self.file}"


def _text(name: str, kind: str, file: str, content: str, encoding: str = "utf-8") -> Sample:
    return Sample(name, kind, file, content.encode(encoding))


def _json(name: str, kind: str, file: str, *rows: dict[str, Any]) -> Sample:
    return Sample(name, kind, file, b"".join(orjson.dumps(row) + b"\n" for row in rows))


def _printed(name: str, kind: str, file: str, *rows: dict[str, Any]) -> Sample:
    """Write lines as Python prints objects, with the u of Python 2 before keys."""
    lines = (repr(row).replace("{'", "{u'").replace(", '", ", u'") for row in rows)
    return _text(name, kind, file, "".join(f"{line}\n" for line in lines))


_U_ITEM = (
    "1|Clay Harbour (1995)|01-Jan-1995||http://example.org/1|" + "|".join("0001100000000000000") + "\n"
    "2|Minuit à Nîmes (1994)|14-Feb-1994||http://example.org/2|" + "|".join("0000000010000000000") + "\n"
)

_GA4_ITEM = {"item_id": "S1", "item_name": "Tin mug", "item_brand": "Fellmark", "item_category": "Kitchen"} | {
    "item_category2": "Mugs",
    "item_category3": "(not set)",
    "price": 9.5,
    "quantity": 2,
    "item_list_index": "3",
}


def _ga4(name: str, params: dict[str, Any], items: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    kinds = {str: "string_value", int: "int_value"}
    return {
        "event_date": "20260105",
        "event_timestamp": "1767607200000000",
        "event_name": name,
        "event_params": [
            {"key": key, "value": {"string_value": None, "int_value": None, kinds[type(value)]: str(value)}}
            for key, value in params.items()
        ],
        "user_id": None,
        "user_pseudo_id": "17.42",
        "items": items,
    } | more


_TRACK = {"type": "track", "anonymousId": "a1", "timestamp": "2026-01-05T10:00:00.000Z", "context": {}}
_MUG = {"product_id": "S1", "sku": "S1-R", "name": "Tin mug", "category": "Kitchen", "price": 9.5, "quantity": 2, "position": 3}

_FEED = """<?xml version="1.0"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel><title>Shop</title><link>https://shop.example</link>
<item>
  <g:id>S1-R</g:id><g:item_group_id>S1</g:item_group_id><title>Tin mug &amp; lid</title><link>https://shop.example/s1</link>
  <description>Red</description><g:price>9.50 EUR</g:price><g:availability>in_stock</g:availability>
  <g:product_type>Kitchen &gt; Mugs</g:product_type><g:brand>Fellmark</g:brand><g:color>red</g:color>
  <g:shipping><g:country>DE</g:country><g:price>4.90 EUR</g:price></g:shipping>
</item>
<item>
  <g:id>S2</g:id><title>Plate</title><link>https://shop.example/s2</link><g:price>5 EUR</g:price>
  <g:availability>out_of_stock</g:availability>
</item>
</channel></rss>
"""

_ORDERS = (
    "Name,Email,Financial Status,Paid at,Currency,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,"
    "Cancelled at,Id\n"
    "#1001,ada@example.org,paid,2026-01-05 11:00:00 +0100,EUR,2026-01-05 10:59:00 +0100,2,Tin mug - Red,9.50,S1-R,,501\n"
    "#1001,ada@example.org,,,,,1,Plate,5.00,S2,,\n"
    "#1002,,paid,2026-01-06 11:00:00 +0100,EUR,2026-01-06 10:59:00 +0100,1,Plate,5.00,S2,,502\n"
    "#1003,bo@example.org,refunded,,EUR,2026-01-07 10:59:00 +0100,1,Plate,5.00,S2,2026-01-08 10:00:00 +0100,503\n"
)

SAMPLES = (
    _text(
        "movielens",
        "items",
        "movies.csv",
        'movieId,title,genres\n1,Clay Harbour (1995),Animation|Comedy\n2,"Tide, The (2001)",(no genres listed)\n',
    ),
    _text("movielens", "items", "movies.dat", "1::Clay Harbour (1995)::Comedy\n2::Minuit à Nîmes (1994)::Drama|War\n", "latin-1"),
    _text("movielens", "items", "u.item", _U_ITEM, "latin-1"),
    _text("movielens", "events", "ratings.csv", "userId,movieId,rating,timestamp\n7,1,4.5,1112486027\n7,2,0.5,1112486030\n"),
    _text("movielens", "events", "ratings.dat", "7::1::5::978300760\n8::2::1::978302109\n"),
    _text("movielens", "events", "u.data", "7\t1\t5\t881250949\n8\t2\t1\t891717742\n"),
    _text(
        "mind",
        "items",
        "news.tsv",
        'N1\tsports\tfootball_nfl\tA "late" goal\tIt came late.\thttps://example.org/n1\t'
        + json.dumps([{"Label": "Riverside FC", "Type": "O", "WikidataId": "Q1", "Confidence": 1.0}])
        + "\t[]\nN2\tnews\tnewsus\tRain\t\thttps://example.org/n2\t[]\t[]\n"
        + "N3\tfinance\tmarkets\tBread is dearer\tAgain.\thttps://example.org/n3\t[]\t[]\n",
    ),
    _text(
        "mind",
        "events",
        "behaviors.tsv",
        "1\tU9\t11/15/2019 8:55:22 AM\tN3\tN1-1 N2-0\n2\tU8\t11/11/2019 9:05:58 PM\t\tN2-0 N1-0 N3-1\n",
    ),
    _text(
        "retailrocket",
        "items",
        "item_properties_part1.csv",
        "timestamp,itemid,property,value\n1435460400000,40,categoryid,1338\n1435460400000,40,888,1116713 960601\n"
        "1435460400000,40,available,0\n1435460400000,41,categoryid,7\n",
    ),
    _text(
        "retailrocket",
        "events",
        "events.csv",
        "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257,view,40,\n1433221999827,257,addtocart,40,\n"
        "1433222276276,257,transaction,40,4000\n1433222276276,257,transaction,41,4000\n",
    ),
    _json(
        "amazon",
        "items",
        "meta_2023.jsonl",
        {"main_category": "All Beauty", "title": "Face oil", "average_rating": 4.8, "features": ["light"], "price": 14.5}
        | {"images": [], "store": "Fellmark", "categories": ["Beauty", "Skin"], "details": {"UPC": "1"}, "parent_asin": "B01"},
    ),
    _json(
        "amazon",
        "items",
        "meta_2018.json",
        {"category": ["Beauty", "Skin"], "title": "Face oil", "description": ["Good."], "brand": "Fellmark", "asin": "B00001"}
        | {"also_buy": ["B2"], "price": "$14.50", "rank": "1,024 in Beauty", "imageURLHighRes": []},
    ),
    _text(
        "amazon",
        "items",
        "meta_2014.json",
        "{'asin': 'B00001', 'title': 'Face oil', 'price': 14.5, 'salesRank': {'Beauty': 9}, 'related': {'also_bought': ['B2']},"
        " 'categories': [['Beauty', 'Skin']]}\n",
    ),
    _json(
        "amazon",
        "events",
        "reviews_2023.jsonl",
        {"rating": 5.0, "title": "Good", "text": "", "images": [], "asin": "B01X", "parent_asin": "B01", "user_id": "AG7"}
        | {"timestamp": 1588687728923, "helpful_vote": 0, "verified_purchase": True},
    ),
    _json(
        "amazon",
        "events",
        "reviews_5.json",
        {"reviewerID": "A2SUAM1J3GNN3B", "asin": "B00001", "reviewerName": "J", "helpful": [2, 3], "overall": 1.0}
        | {"unixReviewTime": 1252800000, "reviewTime": "09 13, 2009"},
    ),
    _text("amazon", "events", "ratings_2014.csv", "A2EFCYXHNK06IS,5555991584,5.0,978480000\n"),
    _text("amazon", "events", "ratings_2018.csv", "5555991584,A2EFCYXHNK06IS,5.0,978480000\n"),
    _printed(
        "steam",
        "items",
        "steam_games.json",
        {"publisher": "Kern", "genres": ["Action", "Indie"], "app_name": "Lost Lantern", "title": "Lost Lantern", "id": "761140"}
        | {"release_date": "2018-01-04", "tags": ["Strategy"], "price": 4.99, "early_access": False, "developer": "Kern"},
        {"genres": ["Indie"], "app_name": "Free Kite", "price": "Free to Play", "id": "643980", "developer": "Kern"},
    ),
    _printed(
        "steam",
        "events",
        "australian_user_reviews.json",
        {
            "user_id": "doctr",
            "user_url": "http://example.org/doctr",
            "reviews": [
                {"funny": "", "posted": "Posted November 5, 2011.", "item_id": "761140", "recommend": True, "review": "ok"},
                {"funny": "", "posted": "Posted June 24.", "item_id": "643980", "recommend": False, "review": "no"},
            ],
        },
    ),
    _printed(
        "steam",
        "events",
        "australian_users_items.json",
        {
            "user_id": "doctr",
            "items_count": 2,
            "steam_id": "765",
            "items": [
                {"item_id": "761140", "item_name": "Lost Lantern", "playtime_forever": 6, "playtime_2weeks": 0},
                {"item_id": "643980", "item_name": "Free Kite", "playtime_forever": 0, "playtime_2weeks": 0},
            ],
        },
    ),
    _printed(
        "steam",
        "events",
        "steam_reviews.json",
        {"username": "Chaos", "hours": 0.1, "products": 41, "product_id": "761140", "date": "2017-12-17", "text": "ok"},
    ),
    _text(
        "steam",
        "events",
        "steam-200k.csv",
        '151603712,"Lost Lantern, Part V",purchase,1.0,0\n151603712,"Lost Lantern, Part V",play,2.5,0\n',
    ),
    _text(
        "hm",
        "items",
        "articles.csv",
        "article_id,product_code,prod_name,product_type_no,product_type_name,product_group_name,colour_group_code,"
        "colour_group_name,index_group_name,detail_desc\n"
        "0108775015,0108775,Strap top,253,Vest top,Garment Upper body,09,Black,Ladieswear,Jersey top.\n"
        "0108775044,0108775,Strap top,253,Vest top,Garment Upper body,10,White,Ladieswear,Jersey top.\n",
    ),
    _text(
        "hm",
        "events",
        "transactions_train.csv",
        "t_dat,customer_id,article_id,price,sales_channel_id\n2018-09-20,000058a12d,0108775015,0.0508,2\n",
    ),
    _json(
        "goodreads",
        "items",
        "goodreads_books.json",
        {"isbn": "", "book_id": "5333265", "title": "A Life on Film", "title_without_series": "A Life on Film", "format": ""}
        | {"popular_shelves": [{"count": "9", "name": "to-read"}, {"count": "1", "name": "cinema"}], "num_pages": "256"}
        | {"publisher": "Kern", "description": "Of films.", "authors": [{"author_id": "604031", "role": ""}], "similar_books": []}
        | {"average_rating": "4.00", "publication_year": "1984", "image_url": "https://example.org/1.jpg"},
    ),
    _json(
        "goodreads",
        "events",
        "goodreads_interactions.json",
        {"user_id": "8842", "book_id": "5333265", "is_read": True, "rating": 5, "date_added": "Wed Mar 22 11:37:04 -0700 2017"},
        {"user_id": "8843", "book_id": "5333265", "is_read": False, "rating": 0, "date_added": "Wed Mar 22 11:38:04 -0700 2017"},
    ),
    _text(
        "goodreads",
        "events",
        "goodreads_interactions.csv",
        "user_id,book_id,is_read,rating,is_reviewed\n0,948,1,5,0\n0,947,1,0,0\n",
    ),
    _text(
        "bookcrossing",
        "items",
        "BX-Books.csv",
        '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"Image-URL-S";"Image-URL-M";"Image-URL-L"\n'
        '"0195153448";"Été";"M. Kern";"2002";"Kern Press";"http://example.org/s.jpg";"http://example.org/m.jpg";""\n',
        "latin-1",
    ),
    _text(
        "bookcrossing",
        "events",
        "BX-Book-Ratings.csv",
        '"User-ID";"ISBN";"Book-Rating"\n"276725";"0195153448";"0"\n"276726";"0195153448";"8"\n',
    ),
    _text(
        "rees46",
        "items",
        "2019-Oct.csv",
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
        "2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,electronics.smartphone,kern,35.79,541312140,72d7\n"
        "2019-10-01 00:00:01 UTC,cart,44600062,2103807459595387724,electronics.smartphone,kern,35.79,541312140,72d7\n"
        "2019-10-01 00:00:02 UTC,view,3900821,2053013552326770905,,,33.20,554748717,9333\n",
    ),
    _text(
        "rees46",
        "events",
        "2019-Nov.csv",
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
        "2019-11-01 00:00:00 UTC,view,44600062,2103807459595387724,electronics.smartphone,kern,35.79,541312140,72d7\n"
        "2019-11-01 00:00:01 UTC,remove_from_cart,3900821,2053013552326770905,,,33.20,554748717,9333\n",
    ),
    _text(
        "shopify",
        "items",
        "products_export.csv",
        "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src\n"
        'mug,Tin mug,<p>Red</p>,Fellmark,Mugs,"tin, red",TRUE,Colour,Red,S1-R,9.50,\nmug,,,,,,,,Blue,S1-B,9.50,\n',
    ),
    _text("shopify", "events", "orders_export.csv", _ORDERS),
    _text(
        "woocommerce",
        "items",
        "wc-product-export.csv",
        "ID,Type,SKU,Name,Published,Description,In stock?,Regular price,Categories,Tags,Images,Parent\n"
        '93,simple,S2,Plate,1,White,1,5,"Kitchen > Plates",,,\n',
    ),
    _json(
        "woocommerce",
        "events",
        "orders.json",
        {"id": 727, "status": "completed", "date_created": "2026-01-05T10:28:02", "date_created_gmt": "2026-01-05T09:28:02"}
        | {"customer_id": 26, "billing": {"email": "ada@example.org"}}
        | {"line_items": [{"id": 3, "product_id": 93, "variation_id": 0, "quantity": 2}, {"product_id": 22, "variation_id": 23}]},
        {"id": 728, "status": "cancelled", "date_created_gmt": "2026-01-05T09:28:02", "customer_id": 0}
        | {"line_items": [{"id": 3, "product_id": 93, "variation_id": 0, "quantity": 2}]},
    ),
    _text("google-merchant", "items", "feed.xml", _FEED),
    _text(
        "google-merchant",
        "items",
        "feed.tsv",
        "id\ttitle\tdescription\tlink\tprice\tavailability\timage link\titem group id\tproduct type\n"
        "S1-R\tTin mug\tRed\thttps://shop.example/s1\t9.50 EUR\tin stock\thttps://shop.example/1.jpg\tS1\tKitchen > Mugs\n",
    ),
    _json("ga4", "items", "events_20260105.json", _ga4("view_item", {"ga_session_id": 5}, [_GA4_ITEM])),
    _json(
        "ga4",
        "events",
        "events_20260106.json",
        _ga4("view_item_list", {"ga_session_id": 5}, [_GA4_ITEM]),
        _ga4("view_search_results", {"ga_session_id": 5, "search_term": "tin mug"}, []),
        _ga4("purchase", {"ga_session_id": 5}, [_GA4_ITEM, {"item_id": "S2"}], user_id="ada", ecommerce={"transaction_id": "T1"}),
        _ga4("session_start", {"ga_session_id": 5}, []),
    ),
    _json("segment", "items", "products.jsonl", _TRACK | {"event": "Product Viewed", "messageId": "m1", "properties": _MUG}),
    _json(
        "segment",
        "events",
        "tracks.jsonl",
        _TRACK | {"event": "Product List Viewed", "messageId": "m0", "properties": {"list_id": "l", "products": [_MUG]}},
        _TRACK | {"event": "Products Searched", "messageId": "m1", "properties": {"query": "tin mug"}},
        _TRACK
        | {"event": "Order Completed", "messageId": "m2", "userId": "ada"}
        | {"properties": {"order_id": "o1", "products": [_MUG, {"product_id": "S2", "quantity": 1}]}},
        _TRACK | {"type": "identify", "messageId": "m3", "userId": "ada", "traits": {"plan": "free"}},
    ),
    _json(
        "gorse",
        "items",
        "items.jsonl",
        {"ItemId": "1", "IsHidden": False, "Categories": ["x", "y"], "Timestamp": "2020-01-01 01:01:01.000000001 +0000 UTC"}
        | {"Labels": {"genre": ["comedy"], "embedding": [0.1, 0.2]}, "Comment": "one"},
        {"ItemId": "2", "IsHidden": True, "Categories": [], "Timestamp": "2020-01-02T01:01:01Z", "Labels": ["a"], "Comment": ""},
    ),
    _text(
        "gorse",
        "items",
        "items.csv",
        "item_id,is_hidden,categories,time_stamp,labels,description\r\n"
        '1,false,x|y,2020-01-01 01:01:01.000000001 +0000 UTC,a|b,"o,n,e"\r\n',
    ),
    _json(
        "gorse",
        "events",
        "feedback.jsonl",
        {"FeedbackType": "star", "UserId": "0", "ItemId": "2", "Value": 1, "Timestamp": "2020-01-01T01:01:01Z", "Comment": ""},
        {"FeedbackType": "read", "UserId": "0", "ItemId": "1", "Value": 0, "Timestamp": "2020-01-01T01:02:01Z", "Comment": ""},
    ),
    _text(
        "gorse",
        "events",
        "feedback.csv",
        "feedback_type,user_id,item_id,time_stamp\r\nlike,0,2,2020-01-01 01:01:01 +0000 UTC\r\n",
    ),
    _json(
        "ubi",
        "events",
        "ubi_events.jsonl",
        {"action_name": "add_to_cart", "client_id": "c1", "user_id": "u1", "timestamp": "2026-01-01T12:00:00Z"}
        | {"event_attributes": {"object": {"object_id": "17"}, "position": {"ordinal": 3}}},
    ),
)
