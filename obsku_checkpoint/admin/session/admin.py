"""Sessions in the admin: which pages there are, and who may do what. Each page is in a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.handlers.asgi import ASGIRequest
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from obsku_checkpoint import replica
from obsku_checkpoint.admin import deletion, format, history
from obsku_checkpoint.admin.base import CHECKPOINT_WORKSPACE, BaseAdmin
from obsku_checkpoint.admin.checkpoint.name import GOES_ON
from obsku_checkpoint.admin.raw import RawMessage, RawSession
from obsku_checkpoint.admin.results_json import ENTRIES
from obsku_checkpoint.admin.session.change_list import SessionList, all_of_state, standing
from obsku_checkpoint.admin.session.checkpoints import CheckpointList
from obsku_checkpoint.admin.session.delete_selected import delete_selected
from obsku_checkpoint.admin.session.export import Export, export
from obsku_checkpoint.admin.session.figures import figures
from obsku_checkpoint.admin.session.filters import ActivityFilter, StatusFilter, WorkspaceFilter
from obsku_checkpoint.admin.session.forks import Forks
from obsku_checkpoint.admin.session.form import SessionForm
from obsku_checkpoint.admin.session.live import Live, mark
from obsku_checkpoint.admin.session.overview import overview
from obsku_checkpoint.admin.session.repair import Repair
from obsku_checkpoint.admin.session.status import STATUSES, Status, statuses
from obsku_checkpoint.admin.session.thin_out import thin_out
from obsku_checkpoint.admin.session.timeline import Timeline
from obsku_checkpoint.admin.session.transcript import Transcript
from obsku_checkpoint.admin.session.waiting import waiting
from obsku_checkpoint.admin.values import harmless
from obsku_checkpoint.errors import CheckpointStoreError
from obsku_checkpoint.models import Checkpoint, Session
from obsku_checkpoint.printable import plain

PAGES = (Transcript, Repair, Timeline, Forks, CheckpointList, Live, Export, RawMessage, RawSession)
TABS = (
    ("change", gettext_lazy("Overview")),
    *((page.name, page.title) for page in (Transcript, Timeline, CheckpointList, Forks)),
)
#: things that people did which the overview shows
DEEDS = 5


@admin.register(Session)
class SessionAdmin(BaseAdmin):
    workspace = "workspace_id"
    form = SessionForm
    fields = ("title", "metadata", "seen")
    list_display = ("name", "badges", "active", "place")
    list_filter = (StatusFilter, WorkspaceFilter, ActivityFilter)
    search_fields = ("title",)  # which columns are searched is said by `SessionQuerySet.matching`
    search_help_text = gettext_lazy("Text in the title, the directory or the id")
    sortable_by = ()
    ordering = ("-updated_at", "-id")
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count the table
    actions = ("export_selected", "thin_out", "delete_selected")
    change_list_template = "admin/obsku_checkpoint/session/change_list.html"
    change_form_template = "admin/obsku_checkpoint/session/change_form.html"
    delete_confirmation_template = "admin/obsku_checkpoint/session/delete_confirmation.html"
    object_history_template = "admin/obsku_checkpoint/session/object_history.html"

    # -- pages

    def get_urls(self) -> list[URLPattern]:
        views = {"waiting": self.waiting_view, "figures": self.figures_view}
        own = [
            path(f"{name}/", self.admin_site.admin_view(view), name=f"obsku_checkpoint_session_{name}")
            for name, view in views.items()
        ]
        return [*own, *(page(self).url() for page in PAGES), *super().get_urls()]

    def waiting_view(self, request: HttpRequest) -> HttpResponse:
        return waiting(self, request)

    def figures_view(self, request: HttpRequest) -> HttpResponse:
        return figures(self, request)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[SessionList]:
        return SessionList

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        context = {
            "title": pgettext("of agents", "Sessions"),
            "waiting_address": self.links.waiting(),
            "figures_address": self.links.figures(),
            **(extra_context or {}),
        }
        view = super().changelist_view
        return self._or_refused(request, lambda: view(request, context))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("metadata")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return queryset.matching(search_term.replace("\x00", "")) if search_term else queryset, False

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        session = self.get_object(request, object_id) if object_id is not None else None
        context = dict(extra_context or {})
        if session is not None and self.has_view_permission(request, session):
            status = statuses(self.database, [session], entries=ENTRIES)[session.pk]
            frame = self.frame(request, session, "change", status)
            context |= frame | overview(self.database, session, status, self.links)
            context |= {"deeds": history.entries(session.pk, DEEDS), "subtitle": _("Overview")}
        view = super().changeform_view
        return self._or_refused(request, lambda: view(request, object_id, form_url, context))

    def frame(self, request: HttpRequest, session: Session, page: str, status: Status | None = None) -> dict[str, Any]:
        """What stands around each page of a session."""
        status = status or statuses(self.database, [session])[session.pk]
        newest = status.newest[0] if status.newest else None
        may_not = [self.may_not_fork(request), self.may_not_resume(request)]
        return {
            "session": session,
            "title": plain(session.title or session.pk, 160),
            "sessions_address": self.links.sessions(),
            "waiting_address": self.links.waiting(),
            "status": status,
            "badges": status.badges,
            "forked_from": self._origin(request, status),
            "tabs": [(self.links.session(session.pk, name), title, name == page) for name, title in TABS],
            "transcript_address": self.links.session(session.pk, "transcript"),
            "export_address": self.links.session(session.pk, "export"),
            "history_address": self.links.session(session.pk, "history"),
            "delete_address": self.links.session(session.pk, "delete")
            if self.has_delete_permission(request, session)
            else "",
            "fork_address": self.links.checkpoint(newest.id, "fork") if newest and not may_not[0] else "",
            "go_on_address": "" if may_not[1] else self._go_on(status),
            "can_answer": not may_not[1],
            "may_not": [sentence for sentence in may_not if sentence],
            "live_address": self.links.session(session.pk, "live"),
            "mark": mark(self.database, session),
            "events_address": _events(request, session.pk),
        }

    def _go_on(self, status: Status) -> str:
        """Where a failed or unfinished run can be let go on; empty where there is none."""
        unfinished = (run.id for run in status.outermost if run.state and run.state.status in GOES_ON)
        id = next(unfinished, None)
        return self.links.checkpoint(id, "go-on") if id else ""

    def _origin(self, request: HttpRequest, status: Status) -> str:
        """The address of the checkpoint that a fork began at; empty where it is gone, or not to be seen."""
        if status.forked_from is None:
            return ""
        there = Checkpoint.objects.using(self.database).filter(pk=status.forked_from)
        seen = self.visible(request, there, CHECKPOINT_WORKSPACE).exists()
        return self.links.checkpoint(status.forked_from) if seen else ""

    def counts_by_state(self, request: HttpRequest) -> list[tuple[str, Any, int, str]]:
        """(word, text, number, address) of the states that ask for somebody, of the sessions that were active last."""
        if not self.has_view_permission(request):
            return []
        with replica.reading(request):  # a page of the project's, whose view is not ours
            found = standing(self, request)
        address = self.links.sessions()
        shown = (("waiting", "waiting"), ("failed", "failed"), ("working", "unfinished"), ("silent", "unfinished"))
        return [
            (word, STATUSES[word], found[word], f"{address}?state={state}") for word, state in shown if found.get(word)
        ]

    # -- columns of the list

    @admin.display(description=gettext_lazy("Session"))
    def name(self, session: Any) -> SafeString:
        return format_html('<bdi dir="auto">{}</bdi>', harmless(plain(session.title or session.pk, 90)))

    @admin.display(description=gettext_lazy("State"))
    def badges(self, session: Any) -> SafeString:
        badges = format_html_join(" ", '<span class="obsku-badge obsku-badge-{}">{}</span>', session.status.badges)
        line = plain(session.line, 110)
        return format_html('{}<span class="obsku-line" dir="auto">{}</span>', badges, line) if line else badges

    @admin.display(description=gettext_lazy("Workspace, directory, size"))
    def place(self, session: Any) -> SafeString:
        workspace, directory = plain(session.workspace_id or "-", 60), plain(session.directory, 200)
        path = '<span class="obsku-path" title="{0} {1}">{0} <span class="obsku-quiet">{1}</span></span>{2}'
        return format_html(path, workspace, directory, self._counts(session))

    def _counts(self, session: Any) -> SafeString:
        figures = session.figures
        lines = [
            ngettext("%(count)s message", "%(count)s messages", figures.messages)
            % {"count": format.number(figures.messages)},
            ngettext("%(count)s checkpoint", "%(count)s checkpoints", figures.checkpoints)
            % {"count": format.number(figures.checkpoints)},
        ]
        if figures.tokens_in or figures.tokens_out:
            tokens = {"count": f"{format.number(figures.tokens_in)} / {format.number(figures.tokens_out)}"}
            lines.append(_("%(count)s tokens") % tokens)
        return format_html_join("", '<span class="obsku-count-line">{}</span>', ((line,) for line in lines))

    @admin.display(description=gettext_lazy("Last activity"))
    def active(self, session: Any) -> SafeString:
        return format.ago(session.updated_at)

    # -- what may be done, and by whom

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if self.has_change_permission(request, obj) else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        if form.changes:
            self.store.update_session(obj.pk, **form.changes)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *arguments: Any, **named: Any) -> Any:
        """An action on all pages of a state is for the sessions that stand so, not for all that may."""
        state = request.GET.get(StatusFilter.parameter_name, "")
        if request.POST.get("select_across") == "1" and state in StatusFilter.words:
            ids = all_of_state(self.database, queryset, state)
            if ids is None:
                text = _("These are too many sessions to look at how each stands: narrow the list by its filters.")
                self.message_user(request, text, messages.ERROR)
                return None
            queryset = queryset.filter(pk__in=ids)
        return super().response_action(request, queryset, *arguments, **named)

    @admin.action(description=gettext_lazy("Export as JSON lines"), permissions=["view"])
    def export_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> StreamingHttpResponse:
        return export(request, self.database, list(queryset.values_list("pk", flat=True)))

    @admin.action(description=gettext_lazy("Remove old checkpoints of the selected sessions"), permissions=["delete"])
    def thin_out(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return thin_out(self, request, queryset)

    @admin.action(description=gettext_lazy("Delete the selected sessions"), permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return delete_selected(self, request, queryset)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """Our own rows in figures; those of the project's own models as Django's admin shows them."""
        sessions = list(objs)
        ids = [session.pk for session in sessions]
        trees, numbers, lacking, protected = deletion.of_the_project(self.database, ids, request, self.admin_site)
        names = [plain(str(session), 100) for session in sessions]
        return names + trees, deletion.counts(self.database, ids) | numbers, lacking, protected

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        if self.store.delete_session(obj.pk):
            self.log_deleted(request, [obj])

    def log_deletions(self, request: HttpRequest, queryset: Any) -> list[Any]:
        """Nothing: Django calls this before it deletes. `log_deleted` says what has happened."""
        return []

    def log_deleted(self, request: HttpRequest, sessions: Any) -> None:
        super().log_deletions(request, sessions)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return super().history_view(request, object_id, self._way_back(request, object_id) | (extra_context or {}))

    def _way_back(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        """For the breadcrumbs of Django's own pages of a session."""
        session = self.get_object(request, object_id)
        if session is None:
            return {}
        return {
            "sessions_address": self.links.sessions(),
            "session_address": self.links.session(session.pk),
            "session_title": plain(str(session), 160),
        }

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        context = self._way_back(request, object_id) | (extra_context or {})
        view = super().delete_view
        return self._or_refused(request, lambda: view(request, object_id, context))

    def _or_refused(self, request: HttpRequest, view: Callable[[], HttpResponse]) -> HttpResponse:
        """The view's response; where the store refuses what it was asked to write, the page again, which says why."""
        try:
            return view()
        except CheckpointStoreError as error:
            self.message_user(request, plain(str(error), 500), messages.ERROR)
            return redirect(request.get_full_path())


def _events(request: HttpRequest, session_id: str) -> str:
    """The API's event stream, where the project has mounted it and the server can send one."""
    if not isinstance(request, ASGIRequest):
        return ""
    try:
        return reverse("obsku_checkpoint:events", kwargs={"id": session_id})
    except NoReverseMatch:
        return ""
