"""The words of Slack's Web API that the fake speaks: arguments, errors, scopes and rate of each method.

Facts from the method pages. With HOLDPOINT_PEERS a test holds this table against a published copy of them.
"""

from __future__ import annotations

from dataclasses import dataclass

# Any method may answer with these.
COMMON_ERRORS = frozenset({
    "not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired", "missing_scope", "no_permission",
    "not_allowed_token_type", "invalid_arguments", "invalid_arg_name", "invalid_charset", "invalid_form_data",
    "invalid_post_type", "missing_post_type", "ratelimited", "request_timeout", "service_unavailable", "internal_error",
    "fatal_error", "unknown_method", "team_access_not_granted", "org_login_required", "access_denied",
})  # fmt: skip


@dataclass(frozen=True)
class Method:
    """``per_minute`` is the tier (0: special). ``scopes``: all needed; channel-dependent ones are checked in place."""

    arguments: frozenset[str]
    required: frozenset[str]
    errors: frozenset[str]
    per_minute: int
    scopes: frozenset[str] = frozenset()
    app_token: bool = False
    no_token: bool = False  # the client id and secret stand for it


def _method(
    arguments: str,
    errors: str,
    per_minute: int,
    *,
    required: str = "",
    scopes: str = "",
    app_token: bool = False,
    no_token: bool = False,
) -> Method:
    return Method(
        frozenset(arguments.split()), frozenset(required.split()), frozenset(errors.split()), per_minute,
        frozenset(scopes.split()), app_token, no_token,
    )  # fmt: skip


_POST = "as_user attachments blocks channel icon_emoji icon_url link_names markdown_text parse text thread_ts username"
_BLOCKS = "invalid_blocks invalid_blocks_format markdown_text_conflict no_text message_limit_exceeded"

METHODS = {
    "auth.test": _method("", "", 0),
    "auth.revoke": _method("test", "", 50),
    "apps.uninstall": _method("client_id client_secret", "bad_client_secret client_id_token_mismatch invalid_client_id", 1, required="client_id client_secret"),
    "oauth.v2.access": _method(
        "client_id client_secret code code_verifier grant_type redirect_uri refresh_token",
        "bad_client_secret bad_redirect_uri cannot_install_an_org_installed_app invalid_client_id invalid_code"
        " invalid_code_verifier invalid_grant_type invalid_refresh_token no_scopes oauth_authorization_url_mismatch",
        0, no_token=True,
    ),
    "apps.connections.open": _method("", "forbidden_team insecure_request missing_args", 50, scopes="connections:write", app_token=True),
    "chat.postMessage": _method(
        f"{_POST} metadata mrkdwn reply_broadcast unfurl_links unfurl_media",
        f"{_BLOCKS} channel_not_found is_archived not_in_channel restricted_action msg_blocks_too_long rate_limited"
        " invalid_metadata_format metadata_too_large messages_tab_disabled too_many_attachments team_not_found"
        " cannot_reply_to_message restricted_action_read_only_channel restricted_action_thread_only_channel"
        " restricted_action_non_threadable_channel restricted_action_thread_locked",
        0, required="channel", scopes="chat:write",
    ),
    "chat.update": _method(
        "as_user attachments blocks channel file_ids link_names markdown_text metadata parse reply_broadcast text ts",
        f"{_BLOCKS} channel_not_found message_not_found cant_update_message edit_window_closed is_inactive msg_too_long"
        " invalid_metadata_format metadata_too_large too_many_attachments update_failed team_not_found",
        50, required="channel ts", scopes="chat:write",
    ),
    "chat.postEphemeral": _method(
        f"{_POST} user",
        f"{_BLOCKS} channel_not_found is_archived not_in_channel user_not_in_channel msg_too_long messages_tab_disabled"
        " cannot_reply_to_message restricted_action too_many_attachments",
        100, required="channel user", scopes="chat:write",
    ),
    "chat.delete": _method("as_user channel ts", "cant_delete_message channel_not_found message_not_found", 50, required="channel ts", scopes="chat:write"),
    "conversations.open": _method(
        "channel prevent_creation return_im users",
        "channel_not_found user_not_found user_disabled user_not_visible users_list_not_supplied too_many_users"
        " not_enough_users invalid_user_combination method_not_supported_for_channel_type",
        50, scopes="im:write",
    ),
    "conversations.info": _method("channel include_locale include_num_members", "channel_not_found", 50, required="channel"),
    "conversations.history": _method(
        "channel cursor include_all_metadata inclusive latest limit oldest",
        "channel_not_found not_in_channel invalid_cursor invalid_ts_latest invalid_ts_oldest",
        50, required="channel",
    ),
    "conversations.replies": _method(
        "channel cursor include_all_metadata inclusive latest limit oldest ts",
        "channel_not_found not_in_channel thread_not_found invalid_cursor invalid_ts_latest invalid_ts_oldest",
        50, required="channel ts",
    ),
    "conversations.list": _method(
        "cursor exclude_archived limit team_id types", "invalid_cursor invalid_limit invalid_types missing_argument", 20,
    ),
    "conversations.members": _method("channel cursor limit", "channel_not_found invalid_cursor invalid_limit fetch_members_failed", 100, required="channel"),
    "users.info": _method("user include_locale", "user_not_found user_not_visible", 100, required="user", scopes="users:read"),
    "users.lookupByEmail": _method("email", "users_not_found", 50, required="email", scopes="users:read.email users:read"),
    "usergroups.users.list": _method("usergroup include_disabled team_id", "no_such_subteam plan_upgrade_required", 20, required="usergroup", scopes="usergroups:read"),
    "files.getUploadURLExternal": _method(
        "alt_txt filename length snippet_type",
        "alt_txt_too_large file_type_not_allowed file_upload_size_restricted file_uploads_disabled"
        " file_uploads_except_images_disabled storage_limit_reached",
        100, required="filename length", scopes="files:write",
    ),
    "files.completeUploadExternal": _method(
        "blocks channel_id channels files initial_comment thread_ts",
        "channel_not_found file_not_found file_type_not_allowed file_update_failed file_uploads_except_images_disabled"
        " invalid_blocks invalid_channel not_in_channel posting_to_channel_denied",
        100, required="files", scopes="files:write",
    ),
    "views.publish": _method(
        "hash user_id view", "duplicate_external_id hash_conflict not_enabled view_too_large", 100, required="user_id view",
    ),
    "views.open": _method(
        "trigger_id interactivity_pointer view",
        "exchanged_trigger_id expired_trigger_id invalid_trigger_id view_too_large duplicate_external_id",
        100, required="view",
    ),
    "views.push": _method(
        "trigger_id interactivity_pointer view",
        "exchanged_trigger_id expired_trigger_id invalid_trigger_id view_too_large duplicate_external_id not_found push_limit_reached",
        100, required="view",
    ),
    "views.update": _method("view_id external_id hash view", "hash_conflict not_found view_too_large duplicate_external_id", 100, required="view"),
}  # fmt: skip


# The guide to modals spells the errors of triggers in another way than the methods' pages.
GUIDE_ERRORS = frozenset({"trigger_expired", "trigger_exchanged"})


# The scopes of a bot that an app like this could ask for.
BOT_SCOPES_KNOWN = frozenset({
    "app_mentions:read", "channels:history", "channels:join", "channels:manage", "channels:read", "chat:write",
    "chat:write.public", "commands", "files:read", "files:write", "groups:history", "groups:read", "groups:write",
    "im:history", "im:read", "im:write", "mpim:history", "mpim:read", "reactions:read", "reactions:write", "team:read",
    "usergroups:read", "users.profile:read", "users:read", "users:read.email",
})  # fmt: skip


def knows(method: str, error: str) -> bool:
    """Whether Slack's documentation names ``error`` for ``method``."""
    if error in GUIDE_ERRORS:
        return "expired_trigger_id" in METHODS[method].errors
    return error in COMMON_ERRORS or error in METHODS[method].errors
