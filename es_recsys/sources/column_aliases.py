"""What other programs call the fields of items and events, so that a column is found under its usual name in any spelling."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

__all__ = [
    "EVENT_ALIASES",
    "HANDLE_COLUMNS",
    "ITEM_ALIASES",
    "RATING_COLUMNS",
    "InferredColumns",
    "infer_columns",
    "is_shopify",
    "is_woocommerce",
    "item_aliases",
    "normalize_name",
    "normalize_path",
]

RATING_COLUMNS = frozenset({"rating", "ratings", "userrating", "reviewrating", "overall", "stars", "bookrating", "reviewoverall"})
"""Columns that make each line of a file of events a rating."""

ALSO_ATTRIBUTE = "+"
"""Begins a tier of names that mean other things as well: the column stays an attribute besides."""

ITEM_ALIASES: Mapping[str, tuple[str, ...]] = {
    "item_id": (
        "productid articleid contentid",
        "id movieid bookid songid trackid docid documentid newsid videoid gameid filmid showid businessid listingid offerid"
        " recipeid",
        "sku variantsku productsku itemsku productcode itemcode itemnumber asin parentasin isbn isbn13 gtin ean upc mpn imdbid"
        " artikelnummer artikelnr artnr produktnummer bestellnummer itemno",
        "handle slug code item product",
        "référence reference referencia código codigo codice",
    ),
    "group_id": ("itemgroupid parentsku parentproductid", "handle urlhandle"),
    "title": (
        "name producttitle productname prodname itemtitle itemname",
        "movietitle booktitle songtitle tracktitle articletitle gametitle moviename songname trackname gamename displayname"
        " headline",
        "titel titre titulo título bezeichnung artikelbezeichnung produktname désignation designation nom nombre",
        "originaltitle label",
    ),
    "description": (
        "productdescription itemdescription longdescription fulldescription detaildesc bodyhtml desc",
        "body overview summary abstract plot synopsis beschreibung descripcion descripción",
        "shortdescription text",
    ),
    "categories": (
        "category productcategory productcategories itemcategory categorypath categoryname categorynames breadcrumb breadcrumbs",
        "producttype producttypename productgroupname",
        "googleproductcategory kategorie kategorien categorie catégorie catégories categoría categoria",
        "+genres genre listedin",
        "+type department",
    ),
    "tags": ("tag producttags itemtags keywords labels",),
    "brand": ("brandname productbrand", "vendor", "manufacturer maker", "marke hersteller marque marca"),
    "price": (
        "productprice itemprice unitprice currentprice variantprice",
        "regularprice standardprice listprice retailprice originalprice baseprice",
        "saleprice priceusd priceeur pricegbp msrp preis prix precio prezzo",
    ),
    "currency": ("currencycode pricecurrency", "währung waehrung devise moneda valuta"),
    "image": (
        "imagelink imageurl imgurl imagesrc imagepath imagefile mainimage mainimageurl images",
        "img picture pictureurl photo photourl thumbnail thumbnailurl posterpath posterurl coverurl imurl",
        "bild bildurl imagen immagine",
    ),
    "audio": ("audiopath audiofile audiourl audiolink previewurl", "sound soundpath soundfile soundurl"),
    "created_at": (
        "created creationdate createddate datecreated createdon dateadded addedat",
        "releasedate releasedat publishedat publishdate publicationdate publisheddate datepublished pubdate launchdate",
    ),
    "available": (
        "availability instock isavailable stockstatus",
        "verfügbar verfuegbar verfügbarkeit lieferbar disponible disponibilité disponibilidad disponibile",
    ),
    "author": ("authors writer artist creator",),
    "stock": ("stockquantity stockqty inventory inventoryquantity variantinventoryqty quantity qty", "bestand lagerbestand"),
    "expires_at": ("expires expirydate expirationdate validuntil availableuntil enddate",),
}
EVENT_ALIASES: Mapping[str, tuple[str, ...]] = {
    "user_id": (
        "customerid memberid reviewerid accountid personid shopperid buyerid visitorid uid distinctid",
        "user customer member visitor reviewer",
    ),
    "session_id": (
        "usersession visitid visitsid gasessionid",
        "session anonymousid userpseudoid clientid deviceid cookieid domainsessionid",
        "domainuserid networkuserid",
    ),
    "item_id": (
        "productid articleid contentid objectid movieid bookid songid trackid docid documentid newsid videoid gameid filmid"
        " businessid",
        "sku asin parentasin isbn ean gtin",
        "item product article movie book song track",
    ),
    "timestamp": (
        "eventtime eventtimestamp eventdatetime unixtime unixtimestamp unixreviewtime occurredat servertimestamp",
        "derivedtstamp collectortstamp",
        "time ts datetime createdat reviewtime date eventdate",
    ),
    "event_type": (
        "eventname actionname actiontype behaviortype behaviourtype interactiontype activitytype",
        "event action behavior behaviour interaction activity",
        "type",
    ),
    "value": ("eventvalue", " ".join(sorted(RATING_COLUMNS))),
    "query": ("searchquery searchterm searchterms searchkeywords querytext userquery", "q search keywords term"),
    "event_id": ("eventuuid messageid insertid eventinsertid",),
    "position": ("rank pos",),
}


@dataclass(frozen=True, slots=True)
class InferredColumns:
    """Columns found by their usual names.

    found: field -> column. also_attributes: those of `found` whose column stays an attribute besides. ambiguous: field -> columns
    of which each could be it.
    """

    found: Mapping[str, str] = dataclasses.field(default_factory=dict)
    also_attributes: frozenset[str] = frozenset()
    ambiguous: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


HANDLE_COLUMNS = ("handle", "urlhandle")
"""What Shopify calls a product by."""

_WOOCOMMERCE = frozenset({"id", "type", "sku", "name", "parent"})


def is_shopify(plain: Collection[str]) -> bool:
    """Return whether these are the columns of Shopify's export of products."""
    return "option1value" in plain and any(name in plain for name in HANDLE_COLUMNS)


def is_woocommerce(plain: Collection[str]) -> bool:
    """Return whether these are the columns of WooCommerce's export of products."""
    return set(plain) >= _WOOCOMMERCE


def item_aliases(columns: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Return ITEM_ALIASES as they are in a file with these columns.

    What shops call published is no date, and WooCommerce's Parent is the product of a variation.
    """
    plain = {normalize_name(name) for name in columns}
    if is_woocommerce(plain):
        return {**ITEM_ALIASES, "group_id": ("parent",), "created_at": ()}
    return {**ITEM_ALIASES, "created_at": ()} if is_shopify(plain) else ITEM_ALIASES


def normalize_name(name: str) -> str:
    """Return letters and digits of a name in lower case: `bodyhtml` of `Body (HTML)`, `itemid` of RecBole's `item_id:token`."""
    return re.sub(r":(?:token|float)$|[\W_]", "", name).lower()


def normalize_path(name: str) -> str:
    """Return `normalize_name` of the last part of a path into objects, with the part before it where it is an id.

    `productid` of both `properties.product_id` and `product.id`.
    """
    parts = name.split(".")
    last = normalize_name(parts[-1])
    return normalize_name("".join(parts[-2:])) if last == "id" else last


def infer_columns(wanted: Iterable[str], free: Mapping[str, str], usual: Mapping[str, tuple[str, ...]]) -> InferredColumns:
    """Return which column is which field: one whose name differs in spelling only, else one with a usual name.

    wanted: fields that no column has the exact name of. free: columns that are no field's yet, with their plain names.
    usual: field -> tiers of names, the surest first. Two columns of one tier are `ambiguous`, and none is taken.
    """
    left = dict(free)
    found: dict[str, str] = {}
    ambiguous: dict[str, tuple[str, ...]] = {}
    kept: set[str] = set()
    for field in wanted:
        for tier in (normalize_name(field), *usual.get(field, ())):
            names = _columns_with(left, tier.removeprefix(ALSO_ATTRIBUTE).split())
            if len(names) == 1:
                found[field] = names[0]
                del left[names[0]]
                if tier.startswith(ALSO_ATTRIBUTE):
                    kept.add(field)
            elif names:
                ambiguous[field] = names
            if names:
                break
    return InferredColumns(found, frozenset(kept), ambiguous)


def _columns_with(left: Mapping[str, str], plain: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name, letters in left.items() if letters in plain)
