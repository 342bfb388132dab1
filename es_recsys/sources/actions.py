"""What trackers call the things that people do: names of actions in any spelling -> event types.

UBI, GA4 and Universal Analytics, Segment, Matomo, Snowplow, PostHog, Klaviyo, Meta's pixel, Shopify, WooCommerce, and the logs of
Taobao, Tmall, JD, REES46 and Retailrocket.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from es_recsys.errors import InputError
from es_recsys.event_types import EVENT_TYPES
from es_recsys.sources.option_pairs import parse_pairs

__all__ = ["ACTION_ALIASES", "IGNORE", "IGNORED_ACTIONS", "PAGE_VIEW_ACTIONS", "ActionMapping", "event_type_of", "parse_actions"]

IGNORE = "ignore"
"""What `--actions NAME=ignore` says; also what an action that tells nothing of taste is."""

_ALIASES = {
    "view": """watch watched views viewed viewitem itemview itemviewed vieweditem viewproduct productview productviewed
        viewedproduct productdetail productdetails productdetailview productdetailviewed productpageview productpageviewed
        viewproductdetail viewcontent contentview contentviewed setecommerceview ecommerceview detail details detailview
        pageview pageviewed trackpageview page screen screenview screenviewed pv visit visited checkin browse play played
        playback listen listened scrobble videoplay videoview videostarted videoplaybackstarted read articleview
        articleviewed articleread""",
    "click": """clickthrough clicks clicked itemclick itemclicked clickitem productclick productclicked clickproduct selectitem
        itemselected selectproduct productselected selectcontent contentselected resultclick resultclicked searchclick
        searchresultclick searchresultclicked documentclick recommendationclick recommendationclicked linkclick tap tapped""",
    "search": """onsearch query searches searched searchquery searchperformed searchsubmitted searchsubmit sitesearch
        tracksitesearch internalsearch productssearched productsearched viewsearchresults searchresultsviewed""",
    "dwell": "dwelltime timespent timeonpage timeonitem readtime watchtime",
    "cart": """addtocart cartadd addcart addedtocart addtocarts itemaddedtocart productaddedtocart addproducttocart cartitemadded
        productadded addtobasket addedtobasket basketadd basket addtobag addedtobag addtotrolley addtoshoppingcart
        addecommerceitem ecommerceaddtocart atc""",
    "purchase": """buy bought purchased purchases order ordered orders transaction transactions conversion pay paid sale sold
        productpurchase productpurchased purchasedproduct itempurchased itempurchase productordered orderedproduct
        ordercompleted completedorder completeorder orderplaced placedorder placeorder orderpaid ordercreated orderfinished
        checkoutcompleted checkoutcomplete paymentcompleted ecommerceorder trackecommerceorder tracktransaction
        ecommercepurchase ecommercetransaction inapppurchase""",
    "like": """liked likes fav faved favorite favorited favourite favourited favorites favourites addtofavorites addtofavourites
        addedtofavorites addedtofavourites addfavorite addfavourite addtowishlist addedtowishlist productaddedtowishlist
        itemaddedtowishlist wishlist wishlistadd wishlisted wish bookmark bookmarked save saved collect collected heart
        hearted star starred love loved thumbsup thumbup upvote upvoted""",
    "dislike": "disliked dislikes thumbsdown thumbdown downvote downvoted notinterested hate hated",
    "share": "shared shares productshared shareproduct shareitem itemshared",
    "rating": "rate rated ratings review reviewed reviews productreviewed productreview reviewadded reviewsubmitted ratingadded",
    "impression": "impressions exposure exposed shown itemimpression itemshown productimpression productimpressions",
    "follow": "followed follows followauthor followuser followchannel followseller",
    "mute": "muted mutes muteauthor muteuser mutechannel block blocked blockauthor blockuser",
    "hide": "hidden hides hideitem hidepost itemhidden",
    "report": "reported reports reportitem reportpost flagged itemreported",
}
ACTION_ALIASES: Mapping[str, str] = {word: event_type for event_type, words in _ALIASES.items() for word in words.split()} | {
    name: name for name in EVENT_TYPES
}
"""Letters and digits of a name, in lower case -> event type."""

_IGNORED_WORDS = """show display displayed hover producthover scroll scrolled pageload pageexit
    pageleave pageping heartbeat ping login logout loggedin loggedout signin signedin signout signedout signup signedup register
    registered identify alias group newuserentry sessionstart sessionend sessionstarted firstvisit firstopen appopen
    appopened applicationopened applicationinstalled applicationbackgrounded userengagement engagement formstart formsubmit
    filedownload download lead contact completeregistration subscribe unsubscribe error exception
    begincheckout begancheckout checkout checkoutstarted startedcheckout startcheckout initiatecheckout checkoutprogress
    checkoutoption checkoutstep checkoutstepviewed checkoutstepcompleted checkoutcontactinfosubmitted
    checkoutaddressinfosubmitted checkoutshippinginfosubmitted addpaymentinfo paymentinfosubmitted paymentinfoentered
    addshippinginfo viewcart cartviewed viewedcart viewbasket cartupdate cartupdated ecommercecartupdate
    trackecommercecartupdate cartshared emptycart clearcart viewitemlist itemlistviewed productlistviewed
    collectionviewed categoryview categoryviewed setcategory viewpromotion selectpromotion
    promotionviewed promotionclicked couponentered couponapplied coupondenied refund refunded orderrefunded ordercancelled
    ordercanceled cancelledorder canceledorder orderupdated fulfilledorder return returned sort sorted sortby filter filters
    autocomplete suggest suggestion clearsearch paginate pagination nextpage"""
IGNORED_ACTIONS = frozenset(_IGNORED_WORDS.split())
"""Actions that are usual in logs and say nothing of taste: skipped and counted, not rejected. What is taken out of a cart or off
a list was wanted before and isn't disliked now, so it is one of them."""

_OF_PAGES = "pageview pageviewed trackpageview page screen screenview screenviewed pv linkclick impression"
PAGE_VIEW_ACTIONS = frozenset(f"{_OF_PAGES} {_ALIASES['impression']}".split())
"""Actions that come with an item on an item's page, or where an item is shown, only; without one they say nothing."""

# "type_filter", "filter_brand", "remove_from_wishlist", "Product Removed", "unlike".
_IGNORED_PATTERN = re.compile(
    r"^(un(like|fav|save|bookmark|follow|star)|remove|delete|filter|sort)|(filter|filtered|sorted|removed|impressions?)$"
)
_PREFIXES = re.compile(r"^(woocommerce|wc|shopify|ecommerce|enhancedecommerce|ec|fbmobile|track|user|customer|event|on)(?=.)")
_PUNCTUATION = re.compile(r"[\W_]+")
_CACHE_SIZE = 10_000


class ActionMapping:
    """Names of actions -> event types, as one load reads them.

    given: name in any spelling -> event type or "ignore"; these come before the known names. Raises InputError for an event type
    that there isn't.
    """

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        self._given = {_normalize(name): _target(name, event_type) for name, event_type in (given or {}).items()}
        self._known: dict[str, str | None] = {}

    def event_type(self, action: Any) -> str | None:
        """Return the event type; "" for an action that is to be ignored; None for one that isn't known."""
        name = action if isinstance(action, str) else str(action)
        try:
            return self._known[name]
        except KeyError:
            found = self._given.get(_normalize(name))
            event_type = event_type_of(action) if found is None else found
            if len(self._known) < _CACHE_SIZE:
                self._known[name] = event_type
            return event_type


def event_type_of(action: Any) -> str | None:
    """Return the event type of an action's name in any spelling ("Add_To_Cart", "add-to-cart", "Product Added").

    "" for one that is to be ignored; None for one that isn't known.
    """
    if not isinstance(action, str):
        return None
    word = _PUNCTUATION.sub("", action).lower()
    for name in (word, _PREFIXES.sub("", word)):
        if name in ACTION_ALIASES:
            return ACTION_ALIASES[name]
        if name in IGNORED_ACTIONS or _IGNORED_PATTERN.search(name):
            return ""
    return None


def parse_actions(texts: str | Iterable[str]) -> dict[str, str]:
    """Parse `add_to_wishlist=like,heartbeat=ignore` to {"add_to_wishlist": "like", "heartbeat": "ignore"}.

    Several such texts are joined; a name with a comma stands in quotes: `"seen, then liked"=like` (option_pairs.py).

    Raises InputError for what isn't NAME=TYPE, an event type that there isn't, and a name that is given two meanings.
    """
    found: dict[str, str] = {}
    example = "add_to_wishlist=like,heartbeat=ignore"
    for name, event_type in parse_pairs(texts, "--actions", "NAME=TYPE", example, at_last=True):
        _target(name, event_type)
        if found.setdefault(name, event_type) != event_type:
            raise InputError(f"--actions gives {name!r} two meanings.", "Keep one of the two.")
    return found


def _target(name: str, given: str) -> str:
    """Return the event type that a name is given, "" for "ignore"."""
    if given.strip().lower() == IGNORE:
        return ""
    event_type = event_type_of(given)
    if not event_type:
        raise InputError(
            f"--actions: there is no event type {given!r} for {name!r}.",
            f"Event types are {', '.join(EVENT_TYPES)}; or write {IGNORE}.",
        )
    return event_type


def _normalize(name: str) -> str:
    """Return a name without case, blanks and punctuation; as it is where it is made of punctuation alone."""
    return _PUNCTUATION.sub("", name).casefold() or name.strip()
