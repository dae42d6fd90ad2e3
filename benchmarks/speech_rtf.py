"""What a second of speech costs: wall and CPU seconds, cold and warm, and the memory of the worker.

    python benchmarks/speech_rtf.py --models-dir data/models [--threads 2] [--long 10000]

Each language runs in a process of its own, so that "cold" means a fresh worker: imports, model, tables, first
sentence. Warm is the median of fresh sentences in the same process. `--long N` speaks a script of N characters
made of a few repeated sentences (they come from the cache after the first time) and prints how memory grew.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SCRIPTS = {
    "en": ("af_heart", [
        "Hello, and welcome to the digital human studio.",
        "Our new product helps small teams record training videos without a camera.",
        "Please upload a clear photo and a short voice sample to begin.",
        "Remember to speak slowly and keep your microphone close to your mouth.",
        "Thank you for watching, and see you next time.",
    ]),
    "zh": ("zf_xiaobei", [
        "你好，欢迎使用数字人生成系统。",
        "今天我们来介绍一款新的产品，它可以帮助您快速制作视频。",
        "请上传一张清晰的照片和一段录音，然后点击开始按钮。",
        "这个周末天气晴朗，适合和家人一起去公园散步。",
        "感谢您的观看，我们下次再见。",
    ]),
    "ja": ("jf_alpha", [
        "こんにちは、デジタルヒューマン生成システムへようこそ。",
        "今日は新しい製品を紹介します。",
        "写真と音声をアップロードして、開始ボタンを押してください。",
        "週末は天気が良いので、公園を散歩しましょう。",
    ]),
}  # fmt: skip


class Context:
    """A TaskContext that hears and says nothing."""

    cancelled = False

    def progress(self, fraction: float | None, message: str = "", **_: Any) -> None:
        """Ignored."""

    def artifact(self, role: str, path: Path, **_: Any) -> None:
        """Ignored."""

    def log(self, level: str, message: str) -> None:
        """Printed: a benchmark should not warn."""
        print(level, message)

    def raise_if_cancelled(self) -> None:
        """Never cancelled."""


def rss_mib() -> float:
    """Resident memory now, in MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def child(language: str, models_dir: Path, threads: int, long: int) -> None:
    """One worker's life; prints one JSON line."""
    from workers.handler import Task, WorkerSetup
    from workers.speech.handler import create_handler

    started, cpu_started = time.perf_counter(), time.process_time()
    voice, sentences = SCRIPTS[language]
    report: dict[str, Any] = {"language": language}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        handler = create_handler()
        options = {"ffmpeg": "ffmpeg", "threads": threads, "assets_dir": str(ROOT / "assets")}
        handler.load(WorkerSetup("speech", None, work, models_dir, work / "cache", None, options))
        report["load_s"] = time.perf_counter() - started

        def speak(text: str) -> tuple[float, float, float]:
            out = Path(tempfile.mkdtemp(dir=work))
            (out / "script.json").write_text(json.dumps({"text": text}), encoding="utf-8")
            wall, cpu = time.perf_counter(), time.process_time()
            task = Task("job_x", 1, "speech", None, {"script": out / "script.json"}, {"voice": voice}, out, 0)
            data = handler.run(task, Context())
            return time.perf_counter() - wall, time.process_time() - cpu, float(data["duration_s"])

        speak(sentences[0])
        report["first_sentence_s"] = time.perf_counter() - started
        report["first_sentence_cpu_s"] = time.process_time() - cpu_started
        costs = [speak(text) for text in sentences[1:]]
        report["wall_per_s"] = statistics.median(wall / seconds for wall, _, seconds in costs)
        report["cpu_per_s"] = statistics.median(cpu / seconds for _, cpu, seconds in costs)
        report["rss_mib"] = rss_mib()
        if long:
            text = (" " if language == "en" else "").join(sentences) + " "
            text *= -(-long // len(text))
            before = rss_mib()
            _, _, seconds = speak(text)
            report["long"] = {"characters": len(text), "speech_s": seconds, "grown_mib": rss_mib() - before}
        report["peak_rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(report))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models-dir", type=Path, default=ROOT / "data" / "models")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--long", type=int, default=0)
    parser.add_argument("--child", choices=sorted(SCRIPTS))
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.models_dir, arguments.threads, arguments.long)
        return
    print(f"load average {os.getloadavg()[0]:.1f}, {arguments.threads} threads")
    for language in SCRIPTS:
        command = [sys.executable, __file__, "--child", language, "--models-dir", str(arguments.models_dir)]
        command += ["--threads", str(arguments.threads), "--long", str(arguments.long)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        report = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{language}: load {report['load_s']:.2f} s, first sentence done {report['first_sentence_s']:.2f} s "
            f"(cpu {report['first_sentence_cpu_s']:.2f} s) after start; warm: {report['wall_per_s']:.2f} wall and "
            f"{report['cpu_per_s']:.2f} CPU seconds per second of speech; peak {report['peak_rss_mib']:.0f} MiB"
        )
        if "long" in report:
            print(f"    long script: {report['long']}")


if __name__ == "__main__":
    main()
