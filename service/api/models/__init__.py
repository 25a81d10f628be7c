"""What answers look like: one model for each, which is both the JSON and its description in OpenAPI.

May import the values of core and the api's problems; knows neither requests nor routes. A field of an answer is named
and described here: a field of a contact in `contact`, with its example, and then in `service.api.writers.fields`.
"""

from service.api.models.base import Time, View, rfc3339
from service.api.models.contact import (
    CONTACT_EXAMPLE,
    AnyContactView,
    AnyListView,
    BriefContactView,
    BriefListView,
    ChosenContactView,
    ChosenListView,
    ContactListView,
    ContactView,
    DeviceView,
    HeldView,
)
from service.api.models.counts import (
    AnySummaryView,
    BriefCountsView,
    BriefSummaryView,
    CountsView,
    GroupCountsView,
    SummaryView,
)
from service.api.models.facade import FacadeLimitsView, FacadeProgramView, FacadeSubscriptionView, FacadeView
from service.api.models.history import HistoryView, TransitionView
from service.api.models.status import (
    AliveView,
    EndpointView,
    FailoverView,
    FailureView,
    IndexView,
    NodeView,
    NotificationsView,
    ReadingView,
    ReadyView,
    RefreshView,
    SessionView,
    StatusView,
    StoreView,
    SubscriptionView,
    TroubleView,
)
from service.api.models.trends import AnyTrendsView, BriefTrendsView, TrendsView
from service.api.models.watched import AddedView, WatchedListView, WatchedView
from service.api.models.webhooks import AttemptView, ReplayView, WebhookListView, WebhookStateView, WebhookView

__all__ = [
    "CONTACT_EXAMPLE",
    "AddedView",
    "AliveView",
    "AnyContactView",
    "AnyListView",
    "AnySummaryView",
    "AnyTrendsView",
    "AttemptView",
    "BriefContactView",
    "BriefCountsView",
    "BriefListView",
    "BriefSummaryView",
    "BriefTrendsView",
    "ChosenContactView",
    "ChosenListView",
    "ContactListView",
    "ContactView",
    "CountsView",
    "DeviceView",
    "EndpointView",
    "FacadeLimitsView",
    "FacadeProgramView",
    "FacadeSubscriptionView",
    "FacadeView",
    "FailoverView",
    "FailureView",
    "GroupCountsView",
    "HeldView",
    "HistoryView",
    "IndexView",
    "NodeView",
    "NotificationsView",
    "ReadingView",
    "ReadyView",
    "RefreshView",
    "ReplayView",
    "SessionView",
    "StatusView",
    "StoreView",
    "SubscriptionView",
    "SummaryView",
    "Time",
    "TransitionView",
    "TrendsView",
    "TroubleView",
    "View",
    "WatchedListView",
    "WatchedView",
    "WebhookListView",
    "WebhookStateView",
    "WebhookView",
    "rfc3339",
]
