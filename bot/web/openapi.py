"""The OpenAPI 3.1 description of the review API: its calls, and what each may answer. `openapi_schemas` has the documents.

A test lets schemathesis hold it against what is served.
"""

from __future__ import annotations

from bot.web.openapi_schemas import SCHEMAS, Schema, ref
from holdpoint.model import State
from holdpoint.stats import MOST_DAYS


def _json(schema: Schema) -> Schema:
    return {"content": {"application/json": {"schema": schema}}}


_WORDS = {
    "400": "The request is not HTTP as it should be.",
    "401": "No key, or an unknown, revoked or expired one.",
    "403": "The person may not, and why.",
    "404": "There is no such hold.",
    "408": "The body did not come in time.",
    "409": "Already decided, or another text than the one that is held now: who and what.",
    "413": "The body is too large.",
    "415": "Not application/json.",
    "422": "A parameter, the body or an edit is wrong.",
    "503": "Redis or the ledger does not answer; it is not known whether a decision was stored. Repeat the same call.",
}


def _answers(status: str, words: str, schema: str, *errors: str) -> Schema:
    return {
        status: {"description": words, **_json(ref(schema))},
        **{
            code: {"description": _WORDS[code], **_json(ref("Error"))} for code in ("400", "401", "403", *errors, "503")
        },
    }


_ID: Schema = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}

OPENAPI: Schema = {
    "openapi": "3.1.0",
    "info": {
        "title": "Holdpoint review API",
        "version": "1",
        "description": "What a reviewer sees and decides. Authenticate with a reviewer's Holdpoint key as bearer token.",
    },
    "security": [{"key": []}],
    "paths": {
        "/api/v1/holds": {
            "get": {
                "operationId": "listHolds",
                "summary": "Holds that you may see, newest first",
                "parameters": [
                    {"name": "state", "in": "query", "schema": {"enum": [state.value for state in State]}},
                    {
                        "name": "limit",
                        "in": "query",
                        "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
                    },
                    {
                        "name": "cursor",
                        "in": "query",
                        "schema": {"type": "string", "pattern": "^[0-9]{1,15}-[0-9a-zA-Z]+$"},
                    },
                ],
                "responses": _answers("200", "A page; it may be shorter than the limit.", "Holds", "422"),
            }
        },
        "/api/v1/holds/{id}": {
            "get": {
                "operationId": "getHold",
                "summary": "One hold",
                "parameters": [_ID],
                "responses": _answers("200", "The hold as it is now.", "Hold", "404"),
            }
        },
        "/api/v1/holds/{id}/decisions": {
            "post": {
                "operationId": "decide",
                "summary": "Approve (perhaps with edits) or reject",
                "parameters": [_ID],
                "requestBody": {"required": True, **_json(ref("NewDecision"))},
                "responses": _answers(
                    "201",
                    "The decision counts; the hold as it is now. Repeating it changes nothing.",
                    "Hold",
                    "404",
                    "408",
                    "409",
                    "413",
                    "415",
                    "422",
                ),
            }
        },
        "/api/v1/stats": {
            "get": {
                "operationId": "getStats",
                "summary": "What became of the requests that were held in the last days, and how long people took",
                "parameters": [
                    {
                        "name": "days",
                        "in": "query",
                        "schema": {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": 30},
                    }
                ],
                "responses": _answers("200", "Whole days in UTC, today among them.", "Stats", "422"),
            }
        },
    },
    "components": {
        "schemas": SCHEMAS,
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "hp_…"}},
    },
}
