"""How a model looks to callers: its files' states, sums and progress as one object of the wire. Pure; service process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backend.models.model import ModelError, ModelFileView, ModelState, ModelView
from backend.models.model_catalogue import CatalogueModel
from backend.services.model_transfer import Transfer
from backend.storage.model_files import FileLook


@dataclass(frozen=True)
class ModelLook:
    """A model and the state of its files at one moment."""

    model: CatalogueModel
    files: tuple[FileLook, ...]

    @property
    def is_ready(self) -> bool:
        return all(look.state == "ready" for look in self.files)


def bytes_to_come(look: FileLook) -> int:
    """What a download of this file would still bring."""
    return 0 if look.state == "ready" else max(0, look.file.expected_bytes - look.have_bytes)


def lacking(looks: Iterable[ModelLook]) -> int:
    """Bytes that models lack together; a file that several share counts once."""
    to_come = {
        (look.model.folder, file.file.path): bytes_to_come(file) for look in looks for file in look.files
    }
    return sum(to_come.values())


def model_state(
    files: Sequence[FileLook],
    transfer: Transfer | None,
    *,
    is_checked: bool,
    is_paused: bool,
    has_failed: bool,
) -> ModelState:
    """One word for it. `is_checked`: its files are being hashed."""
    if transfer is not None:
        return "verifying" if transfer.phase == "verifying" else "downloading"
    if is_checked:
        return "verifying"
    states = {look.state for look in files}
    if states == {"ready"}:
        return "ready"
    if has_failed:
        return "failed"
    if "damaged" in states:
        return "damaged"
    if is_paused or "partial" in states:
        return "paused"
    return "absent"


def model_view(
    look: ModelLook,
    required: Sequence[ModelLook],
    transfer: Transfer | None,
    state: ModelState,
    failure: ModelError | None,
) -> ModelView:
    """The model on the wire. `required` are the models that it needs."""
    model, files = look.model, look.files
    have = sum(
        max(file.have_bytes, transfer.current_bytes)
        if transfer and file.file.path == transfer.current and file.state in ("absent", "partial")
        else file.have_bytes
        for file in files
    )
    total = sum(_size(file) for file in files)
    speed = transfer.speed() if transfer else None
    return ModelView(
        id=model.id,
        name_en=model.name_en,
        name_zh=model.name_zh,
        purpose=model.purpose,
        engine=model.engine,
        licence=model.licence,
        licence_url=model.licence_url,
        note=model.note,
        requires=list(model.requires),
        usable=all(part.is_ready for part in (look, *required)),
        to_fetch_bytes=lacking((look, *required)),
        bytes=total,
        state=state,
        waiting=transfer is not None and transfer.phase == "waiting",
        downloaded_bytes=have,
        speed_bytes_s=round(speed, 1) if speed is not None else None,
        eta_s=round(max(0, total - have) / speed, 1) if speed else None,
        source=transfer.source if transfer else None,
        files=[
            ModelFileView(
                path=file.file.path,
                bytes=_size(file),
                sha256=file.file.sha256 or (file.marker.sha256 if file.marker else None),
                state=file.state,
                verified_by=file.marker.by if file.state == "ready" and file.marker else None,
                source=file.marker.source if file.state == "ready" and file.marker else None,
            )
            for file in files
        ],
        error=transfer.trouble if transfer else failure,
    )


def _size(look: FileLook) -> int:
    return look.marker.bytes if look.marker is not None else look.file.expected_bytes
