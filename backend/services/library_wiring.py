"""What concerns the library of videos and unfinished work, wired. Runs in the service process."""

from __future__ import annotations

from dataclasses import dataclass

from backend.services.draft_service import DraftService
from backend.services.engine_router import EngineRouter
from backend.services.export_service import ExportService
from backend.services.file_keeper import FileKeeper
from backend.services.folder_service import FolderService
from backend.services.job_repeats import JobRepeats
from backend.services.job_service import JobService
from backend.services.quality_report import QualityReports
from backend.services.voice_service import VoiceService
from backend.storage.store import Store
from backend.utils.clock import Clock


@dataclass(frozen=True)
class LibraryServices:
    """Folders, drafts, and what is done with videos that are there."""

    folders: FolderService
    drafts: DraftService
    repeats: JobRepeats
    exports: ExportService
    reports: QualityReports


def wire_library(
    store: Store, *, jobs: JobService, router: EngineRouter, voices: VoiceService, clock: Clock
) -> LibraryServices:
    return LibraryServices(
        folders=FolderService(store.folders),
        drafts=DraftService(store.drafts),
        repeats=JobRepeats(store=store, jobs=jobs, router=router, voices=voices),
        exports=ExportService(jobs=jobs, files=FileKeeper(store), clock=clock),
        reports=QualityReports(jobs),
    )
