"""Entities and facts in the admin: lists, one of them, and what a person may correct."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from obsku_checkpoint.admin import format, history
from obsku_checkpoint.admin.base import BaseAdmin
from obsku_checkpoint.admin.drawings.relationships import Known, relationships
from obsku_checkpoint.admin.memory.form import EntityForm, FactForm
from obsku_checkpoint.admin.memory.search import BoundedPaginator, matching
from obsku_checkpoint.admin.session.filters import WorkspaceFilter
from obsku_checkpoint.admin.values import harmless, text_of, tree
from obsku_checkpoint.models import Entity, Fact
from obsku_checkpoint.printable import plain
from obsku_checkpoint.records import CorruptValue
from obsku_checkpoint.scope import Scope

#: entities of a drawing, and how far from the one in the middle
DRAWN, DEPTH = 40, 2
#: corrections that a page shows
CORRECTIONS = 10


class MemoryList(ChangeList):
    """Its rows have ``said_in``: the title of the session that said them, None where it is not to be seen."""

    model_admin: MemoryAdmin

    def url_for_result(self, result: Any) -> str:
        return self.model_admin.links.known(self.model_admin.kind, result.pk)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.model_admin.name_sessions(request, self.result_list)


class MemoryAdmin(BaseAdmin):
    """What both have in common. Rows are changed by the forms' own ``save``, through the store where it can."""

    kind: str
    #: the column with the session that said it
    source: str
    workspace = "workspace_id"
    list_filter = (WorkspaceFilter,)
    sortable_by = ()
    search_help_text = gettext_lazy("By what is said and, where the project has an embedder, by what is meant")
    ordering = ("-created_at", "-id")
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    change_list_template = "admin/obsku_checkpoint/memory/change_list.html"
    change_form_template = "admin/obsku_checkpoint/memory/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("embedding")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[MemoryList]:
        return MemoryList

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return matching(self, request, queryset, search_term), False

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            self.name_sessions(request, [row])
        return row

    def name_sessions(self, request: HttpRequest, rows: Any) -> None:
        ids = {getattr(row, self.source) for row in rows} - {None}
        seen = super().has_view_permission(request)
        titles = self.session_titles(request, ids) if ids and seen else {}
        for row in rows:
            row.said_in = titles.get(getattr(row, self.source))

    # -- who may do what: its own permissions, as its rows outlive sessions and are of many

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_view(request, self.kind)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            self.delete_model(request, row)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        (self.store.delete_entity if self.kind == "entity" else self.store.delete_fact)(obj.pk)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        form.write(self.store)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Django's own words, and beside them what stood there before."""
        said = super().construct_change_message(request, form, formsets, add)
        return [{**message, "before": form.before} for message in said]

    # -- columns and fields

    @admin.display(description=gettext_lazy("Said in"))
    def said(self, row: Any) -> SafeString | str:
        id = getattr(row, self.source)
        if id is None:
            return _("a session that is gone, or none")
        if row.said_in is None:
            return format_html('<span class="obsku-quiet">{}</span>', plain(id, 60))
        return format_html('<a href="{}"><bdi dir="auto">{}</bdi></a>', self.links.session(id), plain(row.said_in, 60))

    @admin.display(description=gettext_lazy("Workspace"))
    def place(self, row: Any) -> SafeString:
        return format_html('<span class="obsku-path">{}</span>', plain(row.workspace_id or "-", 60))

    @admin.display(description=gettext_lazy("Since"))
    def since(self, row: Any) -> SafeString:
        return format.ago(row.created_at)

    @admin.display(description=gettext_lazy("Embedding"))
    def vector(self, row: Any) -> SafeString | str:
        if isinstance(row.embedding, CorruptValue):
            return tree(row.embedding)
        if not row.embedding:
            return _("none: searches by meaning do not find it")
        count = len(row.embedding)
        return ngettext("%(count)s number", "%(count)s numbers", count) % {"count": format.number(count)}

    @admin.display(description=gettext_lazy("Corrections"))
    def corrections(self, row: Any) -> SafeString | str:
        """Who changed what, and what stood there before."""
        lines = []
        for entry in history.log(self.model, row.pk)[:CORRECTIONS]:
            overwritten = history.noted(entry).get("before")
            texts = overwritten if isinstance(overwritten, dict) else {}
            before = "; ".join(f"{name}: {text}" for name, text in texts.items())
            who, what = plain(entry.user.get_username(), 80), plain(entry.get_change_message(), 300)
            lines.append((format.ago(history.when(entry)), who, what, plain(before, 1000)))
        line = '<li>{} <strong>{}</strong> {} <span class="obsku-line" dir="auto">{}</span></li>'
        return (
            format_html('<ul class="obsku-nodes">{}</ul>', format_html_join("", line, lines))
            if lines
            else _("Nobody has corrected this.")
        )


@admin.register(Entity)
class EntityAdmin(MemoryAdmin):
    kind, source = "entity", "session_id"
    form = EntityForm
    list_display = ("label", "kind_of", "place", "said", "since")
    search_fields = ("name", "type")
    readonly_fields = ("place", "said", "since", "changed", "shown", "drawing", "vector", "corrections")
    fieldsets = (
        (None, {"fields": ("name", "type", "said", "place", "since", "changed")}),
        (gettext_lazy("What is known"), {"fields": ("shown", "drawing", "vector")}),
        (gettext_lazy("Correct"), {"fields": ("attributes", "relationships", "corrections")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        sets = super().get_fieldsets(request, obj)
        return sets if self.has_change_permission(request, obj) else sets[:2]

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        entity = super().get_object(request, object_id, from_field)
        if entity is not None:
            sees = Scope(request).sees
            near = self.store.related(entity.pk, depth=DEPTH, on_corrupt="keep")
            entity.near = [one for one in near if sees(one.workspace_id)][:DRAWN]
        return entity

    @admin.display(description=gettext_lazy("Name"))
    def label(self, entity: Any) -> SafeString:
        return format_html('<bdi dir="auto">{}</bdi>', harmless(plain(entity.name or entity.pk, 90)))

    @admin.display(description=gettext_lazy("Type"))
    def kind_of(self, entity: Any) -> str:
        return plain(entity.type, 60)

    @admin.display(description=gettext_lazy("Said again"))
    def changed(self, entity: Any) -> SafeString:
        return format.ago(entity.updated_at)

    @admin.display(description=gettext_lazy("Attributes"))
    def shown(self, entity: Any) -> SafeString:
        return tree(entity.attributes)

    @admin.display(description=gettext_lazy("Relationships"))
    def drawing(self, entity: Any) -> SafeString | str:
        def known(one: Any, id: str) -> Known:
            edges = one.relationships if isinstance(one.relationships, list) else []
            leads = [
                (str(edge.get("targetId")), text_of(edge.get("type"), 24)) for edge in edges if isinstance(edge, dict)
            ]
            return Known(id, one.name, one.type, self.links.known("entity", id), leads)

        drawn = relationships(known(entity, entity.pk), [known(one, one.id) for one in entity.near])
        if isinstance(entity.relationships, CorruptValue):
            return tree(entity.relationships)
        return drawn or _("It leads to nothing that is known.")


@admin.register(Fact)
class FactAdmin(MemoryAdmin):
    kind, source = "fact", "source_session_id"
    form = FactForm
    list_display = ("sentence", "sure", "place", "said", "since")
    search_fields = ("content",)
    readonly_fields = ("place", "said", "since", "vector", "corrections")
    fields = ("content", "confidence", "said", "place", "since", "vector", "corrections")

    @admin.display(description=gettext_lazy("Fact"))
    def sentence(self, fact: Any) -> SafeString:
        return format_html('<bdi dir="auto">{}</bdi>', harmless(plain(fact.content, 160)))

    @admin.display(description=gettext_lazy("Confidence"))
    def sure(self, fact: Any) -> str:
        return "-" if fact.confidence is None else plain(str(fact.confidence), 20)
