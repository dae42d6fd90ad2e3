"""Portraits on the wire: rows and built-in ones as callers see them, with what to do about each finding. Pure."""

from __future__ import annotations

from backend.models.library import AvatarView, PortraitFinding, WarningView
from backend.models.records import AvatarRecord
from backend.services.catalog import BuiltinAvatar
from backend.utils.clock import iso_from_ms

# What helps against each warning of the portrait check (workers/draft/portrait_checks.py).
FIXES = {
    "rotated": "Nothing has to be done. Look whether it stands upright now.",
    "several_faces": "Choose who speaks, or cut the picture to one person.",
    "strong_profile": "Use a picture in which the person looks at the camera.",
    "small_face": "Cut the picture to head and shoulders, or use one with more pixels.",
    "dark": "Use a picture with light from the front, or brighten it.",
    "blurred": "Use a sharper picture.",
    "drawn": "Nothing has to be done. A photo moves more naturally.",
}
_ANY_FIX = "Try it, or use another picture."


def builtin_view(avatar: BuiltinAvatar) -> AvatarView:
    return AvatarView(
        avatar_id=avatar.avatar_id,
        name=avatar.name_en,
        name_zh=avatar.name_zh,
        name_en=avatar.name_en,
        builtin=True,
        default=avatar.is_default,
        width=avatar.width,
        height=avatar.height,
        faces=list(avatar.faces),
        chosen=0,
        warnings=[],
        report=[],
        crop=None,
        video=False,
        image_url=f"/api/avatars/{avatar.avatar_id}/image",
        thumbnail_url=f"/api/avatars/{avatar.avatar_id}/thumbnail",
        original_url=None,
    )


def own_view(record: AvatarRecord) -> AvatarView:
    profile = record.profile
    base = f"/api/avatars/{record.avatar_id}"
    return AvatarView(
        avatar_id=record.avatar_id,
        name=record.name,
        name_zh=record.name,
        name_en=record.name,
        builtin=False,
        default=False,
        width=profile["width"],
        height=profile["height"],
        faces=profile["faces"],
        chosen=profile["chosen"],
        warnings=profile["warnings"],
        report=[_finding(WarningView(**warning)) for warning in profile["warnings"]],
        # Not there in portraits of before they could be cut.
        crop=profile.get("crop"),
        video=bool(profile.get("video")),
        image_url=f"{base}/image",
        thumbnail_url=f"{base}/thumbnail",
        original_url=f"{base}/image?original=true",
        created_at=iso_from_ms(record.created_at),
    )


def _finding(warning: WarningView) -> PortraitFinding:
    return PortraitFinding(code=warning.code, message=warning.message, fix=FIXES.get(warning.code, _ANY_FIX))
