"""The elements and actions of Adaptive Cards 1.5 that Teams shows, each with its properties and what these may be.

https://adaptivecards.io/explorer and https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-reference.
A kind is "text", "bool", "int", "number", "url", "image", "object", "any", an enumeration "a|b|c" (in any case), or what
is walked into: "elements", "actions", "element", "action", "select", "card", "columns", "rows", "cells", "inlines",
"facts", "choices", "images", "targets", "refresh", "msteams", "fallback".
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.fakes.teams.things import Json

Kinds = Mapping[str, str]

SPACING = "default|none|small|medium|large|extralarge|padding"
STYLE = "default|emphasis|good|attention|warning|accent"
COLORS = "default|dark|light|accent|good|warning|attention"
SIZE = "default|small|medium|large|extralarge"
WEIGHT = "default|lighter|bolder"
ALIGN = "left|center|right"
VALIGN = "top|center|bottom"

_ITEM: Kinds = {"type": "text", "id": "text", "requires": "object", "fallback": "fallback"}
_ELEMENT: Kinds = {**_ITEM, "height": "auto|stretch", "separator": "bool", "spacing": SPACING, "isVisible": "bool"}
_ACTION: Kinds = {
    **_ITEM, "title": "text", "iconUrl": "image", "style": "default|positive|destructive", "tooltip": "text",
    "isEnabled": "bool", "mode": "primary|secondary",
}  # fmt: skip
_INPUT: Kinds = {**_ELEMENT, "label": "text", "isRequired": "bool", "errorMessage": "text"}
_TEXT: Kinds = {
    "text": "text", "color": COLORS, "fontType": "default|monospace", "isSubtle": "bool", "size": SIZE, "weight": WEIGHT,
}  # fmt: skip
_BOX: Kinds = {
    "selectAction": "select", "style": STYLE, "bleed": "bool", "minHeight": "text", "backgroundImage": "image",
    "verticalContentAlignment": VALIGN,
}  # fmt: skip

ELEMENTS: Mapping[str, Kinds] = {
    "TextBlock": {
        **_ELEMENT, **_TEXT, "horizontalAlignment": ALIGN, "maxLines": "int", "wrap": "bool",
        "style": "default|heading",
    },
    "RichTextBlock": {**_ELEMENT, "inlines": "inlines", "horizontalAlignment": ALIGN},
    "Image": {
        **_ELEMENT, "url": "image", "altText": "text", "backgroundColor": "text", "horizontalAlignment": ALIGN,
        "selectAction": "select", "size": "auto|stretch|small|medium|large", "style": "default|person", "width": "text",
        "height": "text",
    },
    "ImageSet": {**_ELEMENT, "images": "images", "imageSize": "auto|stretch|small|medium|large"},
    "Container": {**_ELEMENT, **_BOX, "items": "elements"},
    "ColumnSet": {
        **_ELEMENT, "columns": "columns", "selectAction": "select", "style": STYLE, "bleed": "bool",
        "minHeight": "text", "horizontalAlignment": ALIGN,
    },
    "FactSet": {**_ELEMENT, "facts": "facts"},
    "ActionSet": {**_ELEMENT, "actions": "actions"},
    "Table": {
        **_ELEMENT, "columns": "definitions", "rows": "rows", "firstRowAsHeader": "bool", "showGridLines": "bool",
        "gridStyle": STYLE, "horizontalCellContentAlignment": ALIGN, "verticalCellContentAlignment": VALIGN,
    },
    "Input.Text": {
        **_INPUT, "isMultiline": "bool", "maxLength": "int", "placeholder": "text", "regex": "text", "value": "text",
        "style": "text|tel|url|email|password", "inlineAction": "action",
    },
    "Input.Number": {**_INPUT, "max": "number", "min": "number", "placeholder": "text", "value": "number"},
    "Input.Date": {**_INPUT, "max": "text", "min": "text", "placeholder": "text", "value": "text"},
    "Input.Time": {**_INPUT, "max": "text", "min": "text", "placeholder": "text", "value": "text"},
    "Input.Toggle": {
        **_INPUT, "title": "text", "value": "text", "valueOff": "text", "valueOn": "text", "wrap": "bool",
    },
    "Input.ChoiceSet": {
        **_INPUT, "choices": "choices", "isMultiSelect": "bool", "style": "compact|expanded", "value": "text",
        "placeholder": "text", "wrap": "bool",
    },
}  # fmt: skip

COLUMN: Kinds = {
    **_ITEM,
    **_BOX,
    "items": "elements",
    "separator": "bool",
    "spacing": SPACING,
    "isVisible": "bool",
    "width": "any",
}
ROW: Kinds = {
    "type": "text", "cells": "cells", "style": STYLE, "horizontalCellContentAlignment": ALIGN,
    "verticalCellContentAlignment": VALIGN,
}  # fmt: skip
CELL: Kinds = {"type": "text", **_BOX, "items": "elements"}
DEFINITION: Kinds = {
    "type": "text", "width": "any", "horizontalCellContentAlignment": ALIGN, "verticalCellContentAlignment": VALIGN,
}  # fmt: skip
FACT: Kinds = {"type": "text", "title": "text", "value": "text"}
CHOICE: Kinds = {"type": "text", "title": "text", "value": "text"}
RUN: Kinds = {
    "type": "text", **_TEXT, "highlight": "bool", "italic": "bool", "selectAction": "select", "strikethrough": "bool",
    "underline": "bool",
}  # fmt: skip

ACTIONS: Mapping[str, Kinds] = {
    "Action.Execute": {**_ACTION, "verb": "text", "data": "object", "associatedInputs": "auto|none"},
    "Action.Submit": {**_ACTION, "data": "object", "associatedInputs": "auto|none"},
    "Action.OpenUrl": {**_ACTION, "url": "url"},
    "Action.ShowCard": {**_ACTION, "card": "card"},
    "Action.ToggleVisibility": {**_ACTION, "targetElements": "targets"},
}

CARD: Kinds = {
    "type": "text", "$schema": "text", "version": "text", "body": "elements", "actions": "actions", "refresh": "refresh",
    "selectAction": "select", "fallbackText": "text", "backgroundImage": "image", "minHeight": "text", "rtl": "bool",
    "speak": "text", "lang": "text", "verticalContentAlignment": VALIGN, "msteams": "msteams",
}  # fmt: skip

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "TextBlock": ("text",), "RichTextBlock": ("inlines",), "Image": ("url",), "ImageSet": ("images",),
    "Container": ("items",), "FactSet": ("facts",), "ActionSet": ("actions",), "Input.Text": ("id",),
    "Input.Number": ("id",), "Input.Date": ("id",), "Input.Time": ("id",), "Input.Toggle": ("id", "title"),
    "Input.ChoiceSet": ("id", "choices"), "Action.Execute": ("verb",), "Action.OpenUrl": ("url",),
    "Action.ShowCard": ("card", "title"), "Action.ToggleVisibility": ("targetElements",), "TextRun": ("text",),
    "Fact": ("title", "value"), "Input.Choice": ("title", "value"), "TableCell": ("items",),
}  # fmt: skip


def is_input(element: Json) -> bool:
    return str(element.get("type", "")).startswith("Input.")
