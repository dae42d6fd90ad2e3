"""Portraits: built in, uploaded, fetched by URL, or put into data/uploads by hand. Runs in the service process.

Whatever the way in, a picture is looked at by the portrait probe before an engine sees it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterable, Callable
from pathlib import Path

from backend.models.codes import ErrorCode
from backend.models.errors import FieldError, InputError, RequestError
from backend.models.library import AvatarList, AvatarView
from backend.models.records import AvatarRecord, NewAvatar, NewFile
from backend.models.speakers import FaceBox
from backend.services.avatar_views import builtin_view, own_view
from backend.services.catalog import Catalog
from backend.services.chosen_face import PortraitFaces
from backend.services.file_keeper import FileKeeper
from backend.services.library_page import After, library_page
from backend.services.portrait_fetch import Fetcher
from backend.services.portrait_probe import PortraitProbe, ProbedPortrait
from backend.storage.store import Store
from backend.utils.ids import is_id, new_id
from backend.utils.media.ffmpeg import Ffmpeg
from backend.utils.media.still import first_picture
from backend.utils.sniff import Sniffed, sniff_file


class AvatarService:
    """The library of portraits and everything that `avatar_url` may be."""

    def __init__(
        self,
        *,
        store: Store,
        catalog: Catalog,
        files: FileKeeper,
        probe: PortraitProbe,
        fetcher: Fetcher,
        uploads_dir: Path,
        max_bytes: int,
        ffmpeg: Ffmpeg,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._files = files
        self._probe = probe
        self._fetcher = fetcher
        self._uploads_dir = uploads_dir
        self._max_bytes = max_bytes
        self._ffmpeg = ffmpeg

    # -- the library -------------------------------------------------------------------------------
    async def page(self, *, limit: int, cursor: str | None) -> AvatarList:
        """Built-in portraits, then the caller's own, newest first. Raises `validation_failed` for no cursor of ours."""
        page = await library_page(
            self._catalog.avatars, self._store.avatars.page, _place, kind="avatar", limit=limit, cursor=cursor
        )
        data = [builtin_view(avatar) for avatar in page.builtin] + [own_view(record) for record in page.own]
        return AvatarList(data=data, has_more=page.next_cursor is not None, next_cursor=page.next_cursor)

    async def get(self, avatar_id: str) -> AvatarView:
        builtin = self._catalog.avatar(avatar_id)
        if builtin is not None:
            return builtin_view(builtin)
        return own_view(await self._store.avatars.get(avatar_id))

    async def create(
        self, chunks: AsyncIterable[bytes], *, name: str, crop: FaceBox | None = None
    ) -> AvatarView:
        """Store an uploaded portrait, or the part of it that `crop` names, with what was found in it.

        Of a video the first picture is the portrait, and the video is kept for engines that can move one.
        """
        avatar_id = new_id("avatar")
        try:
            upload = await self._files.receive(chunks, avatar_id, max_bytes=self._max_bytes)
            sniffed = await asyncio.to_thread(sniff_file, upload)
            if sniffed is None or sniffed.kind == "audio":
                raise InputError(
                    ErrorCode.IMAGE_UNREADABLE,
                    "That file is not a picture that can be read.",
                    hint="Use a JPEG, PNG, WebP or HEIC picture, or an MP4, MOV or WebM video.",
                )
            if sniffed.kind == "video":
                return await self._keep_video(avatar_id, upload, sniffed, name, crop)
            return await self._keep(avatar_id, upload, sniffed.extension, sniffed.media_type, name, crop)
        finally:
            await self._files.drop_ticket(avatar_id)

    async def crop(self, avatar_id: str, crop: FaceBox) -> AvatarView:
        """A new portrait: another part of the picture that this one was made of. Raises `avatar_not_found`, `gone`."""
        source, name = await self._original(avatar_id)
        made_id = new_id("avatar")
        try:
            copy = self._files.path(f"work/{made_id}/picture.png")
            await asyncio.to_thread(_copied, source, copy)
            return await self._keep(made_id, copy, "png", "image/png", name, crop)
        finally:
            await self._files.drop_ticket(made_id)

    async def _keep_video(
        self, avatar_id: str, upload: Path, sniffed: Sniffed, name: str, crop: FaceBox | None
    ) -> AvatarView:
        if crop is not None:
            raise RequestError(
                ErrorCode.VALIDATION_FAILED,
                "A part can be cut out of a picture, not out of a video.",
                hint="Leave out crop, or upload a picture.",
                fields=(FieldError("crop", "is for pictures"),),
            )
        still = upload.parent / "still.png"
        await asyncio.to_thread(first_picture, self._ffmpeg, upload, sniffed, still)
        found = await self._probe.probe(still, ticket=avatar_id, work_dir=upload.parent)
        return await self._store_found(avatar_id, found, upload, sniffed.extension, sniffed.media_type, name)

    async def _keep(
        self, avatar_id: str, upload: Path, extension: str, media_type: str, name: str, crop: FaceBox | None
    ) -> AvatarView:
        found = await self._probe.probe(upload, ticket=avatar_id, work_dir=upload.parent, crop=crop)
        if found.whole is not None:
            # Not the upload: another part is chosen on a picture that every browser can show.
            upload, extension, media_type = found.whole, "png", "image/png"
        return await self._store_found(avatar_id, found, upload, extension, media_type, name)

    async def _store_found(
        self, avatar_id: str, found: ProbedPortrait, upload: Path, extension: str, media_type: str, name: str
    ) -> AvatarView:
        """`upload` is kept as what the portrait was made of."""
        picture = await self._files.keep_upload(
            found.picture, "avatar", extension="png", media_type="image/png", original_name=name
        )
        thumbnail = await self._files.keep_upload(
            found.thumbnail, "avatar", extension="jpg", media_type="image/jpeg"
        )
        source: NewFile = await self._files.keep_upload(
            upload, "avatar", extension=extension, media_type=media_type, original_name=name
        )
        profile = {**found.data, "video": media_type.startswith("video/")}
        new = NewAvatar(avatar_id, name, picture, thumbnail, source, profile=profile)
        return own_view(await self._store.avatars.create(new))

    async def rename(self, avatar_id: str, name: str) -> AvatarView:
        """Give a portrait of one's own another name. Built-in ones are refused."""
        if self._catalog.avatar(avatar_id) is not None:
            raise RequestError(
                ErrorCode.VALIDATION_FAILED,
                "Built-in portraits cannot be renamed.",
                hint="Rename a portrait of your own.",
            )
        return own_view(await self._store.avatars.update(avatar_id, name=name))

    async def delete(self, avatar_id: str) -> None:
        if self._catalog.avatar(avatar_id) is not None:
            raise RequestError(
                ErrorCode.VALIDATION_FAILED,
                "Built-in portraits cannot be deleted.",
                hint="Delete a portrait of your own.",
            )
        await self._files.purge(await self._store.avatars.delete(avatar_id))

    async def image(self, avatar_id: str) -> tuple[Path, str]:
        """The picture that engines get, and its media type."""
        builtin = self._catalog.avatar(avatar_id)
        if builtin is not None:
            return builtin.image, "image/png"
        record = await self._store.avatars.get(avatar_id)
        file = await self._store.files.get(record.file_id)
        return self._files.path(file.rel_path), file.media_type

    async def original(self, avatar_id: str) -> tuple[Path, str]:
        """The whole picture, upright, of which a portrait is a part; where nothing was cut off, the portrait itself."""
        source, _name = await self._original(avatar_id)
        return source, "image/png"

    async def _original(self, avatar_id: str) -> tuple[Path, str]:
        builtin = self._catalog.avatar(avatar_id)
        if builtin is not None:
            return builtin.image, builtin.name_en
        record = await self._store.avatars.get(avatar_id)
        is_part = record.profile.get("crop") is not None and record.source_file_id is not None
        file_id = record.source_file_id if is_part and record.source_file_id else record.file_id
        file = await self._store.files.get(file_id)
        return self._files.path(file.rel_path), record.name

    async def thumbnail(self, avatar_id: str) -> tuple[Path, str]:
        builtin = self._catalog.avatar(avatar_id)
        if builtin is not None:
            is_png = builtin.thumbnail.suffix == ".png"
            return builtin.thumbnail, "image/png" if is_png else "image/jpeg"
        record = await self._store.avatars.get(avatar_id)
        file = await self._store.files.get(record.thumbnail_file_id or record.file_id)
        return self._files.path(file.rel_path), file.media_type

    # -- avatar_url --------------------------------------------------------------------------------
    def is_stored(self, avatar_url: str) -> bool:
        """Whether `avatar_url` names a portrait that was looked at already: an id."""
        return is_id(avatar_url, "avatar")

    async def check(self, avatar_url: str) -> str | None:
        """Refuse what cannot work before a job is accepted; returns the file id to hold, if there is one.

        Whether a URL can really be fetched is found out when the job runs.
        """
        if self.is_stored(avatar_url):
            if self._catalog.avatar(avatar_url) is not None:
                return None
            record = await self._store.avatars.get(avatar_url)
            picture = await self._store.files.get(record.file_id)
            if not await asyncio.to_thread(self._files.is_whole, picture):
                raise RequestError(
                    ErrorCode.AVATAR_NOT_FOUND,
                    "The picture of this portrait is no longer on the disk.",
                    hint="Delete the portrait and upload it again.",
                )
            return record.file_id
        if _is_url(avatar_url):
            self._fetcher.check(avatar_url)
            return None
        await asyncio.to_thread(self._local_path, avatar_url)
        return None

    async def video(self, avatar_url: str) -> str | None:
        """The file id of the video that a portrait of the library was taken from, or None."""
        if not self.is_stored(avatar_url) or self._catalog.avatar(avatar_url) is not None:
            return None
        record = await self._store.avatars.get(avatar_url)
        return record.source_file_id if record.profile.get("video") else None

    async def faces(self, avatar_url: str, file_id: str | None) -> PortraitFaces:
        """What a stored portrait shows. `file_id` of its picture, which says it of a deleted one, too."""
        builtin = self._catalog.avatar(avatar_url)
        if builtin is not None:
            return PortraitFaces.of({"faces": [face.model_dump() for face in builtin.faces]})
        return PortraitFaces.of(await self._store.avatars.profile_of(file_id) if file_id else {})

    async def prepare(
        self, avatar_url: str, *, ticket: str, work_dir: Path, cancelled: Callable[[], bool]
    ) -> ProbedPortrait:
        """Fetch or copy the picture into `work_dir` and look at it; its `picture` is the one for the engines."""
        given = work_dir / "given-picture"
        if _is_url(avatar_url):
            await self._fetcher.fetch_image(avatar_url, given)
        else:
            source = await asyncio.to_thread(self._local_path, avatar_url)
            await asyncio.to_thread(shutil.copyfile, source, given)
        return await self._probe.probe(given, ticket=ticket, work_dir=work_dir, cancelled=cancelled)

    def _local_path(self, avatar_url: str) -> Path:
        """A picture inside data/uploads, whether written as a bare name, `data/uploads/…` or absolute."""
        root = self._uploads_dir.resolve()
        text = avatar_url.replace("\\", "/")
        for prefix in ("./", "data/uploads/", "uploads/"):
            text = text.removeprefix(prefix)
        try:
            path = (root / text).resolve()
            if not path.is_relative_to(root) or path == root:
                raise _outside()
            # Asked only now: the answer must not tell whether a file outside exists.
            size = path.stat().st_size if path.is_file() else None
        except (OSError, ValueError) as error:  # too long a name, NUL, a loop of links
            raise _outside() from error
        if size is None:
            raise InputError(
                ErrorCode.AVATAR_NOT_FOUND,
                "There is no such picture in data/uploads.",
                hint="Put the picture into data/uploads, or upload it with POST /api/avatars.",
            )
        if size > self._max_bytes:
            raise InputError(
                ErrorCode.TOO_LARGE,
                f"The picture is larger than {self._max_bytes >> 20} MiB.",
                hint="Use a smaller picture, or raise MAX_IMAGE_MIB in .env.",
            )
        return path


def _place(record: AvatarRecord) -> After:
    return record.created_at, record.avatar_id


def _is_url(text: str) -> bool:
    return "://" in text or text.lower().startswith(("http:", "https:", "data:", "file:", "ftp:", "blob:"))


def _outside() -> InputError:
    return InputError(
        ErrorCode.FETCH_REFUSED,
        "A local path must lie inside data/uploads.",
        hint="Put the picture into data/uploads, or upload it with POST /api/avatars.",
    )


def _copied(source: Path, target: Path) -> None:
    """Copy a stored picture into a work folder. Raises `gone` when somebody removed it by hand."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError as error:
        raise RequestError(
            ErrorCode.GONE, "The picture is no longer there.", hint="Upload it again."
        ) from error
