"""The short title of every error code, in English and Chinese. HTTP layer.

`code` is never translated; only the title follows Accept-Language.
"""

from __future__ import annotations

from backend.models.codes import ErrorCode

TITLES: dict[ErrorCode, tuple[str, str]] = {
    ErrorCode.VALIDATION_FAILED: ("Request not valid", "请求无效"),
    ErrorCode.UNAUTHORIZED: ("Key required", "需要密钥"),
    ErrorCode.FORBIDDEN_ORIGIN: ("Refused: foreign page", "已拒绝：来自其他网站的请求"),
    ErrorCode.JOB_NOT_FOUND: ("No such job", "任务不存在"),
    ErrorCode.VOICE_NOT_FOUND: ("No such voice", "声音不存在"),
    ErrorCode.AVATAR_NOT_FOUND: ("No such avatar", "人像不存在"),
    ErrorCode.MODEL_NOT_FOUND: ("No such model", "模型不存在"),
    ErrorCode.NOT_READY: ("Not ready", "尚未就绪"),
    ErrorCode.GONE: ("Deleted", "已删除"),
    ErrorCode.IDEMPOTENCY_CONFLICT: ("Key used for another request", "幂等键已用于其他请求"),
    ErrorCode.QUEUE_FULL: ("Queue full", "队列已满"),
    ErrorCode.RATE_LIMITED: ("Too many requests", "请求过多"),
    ErrorCode.TOO_LARGE: ("Too large", "文件过大"),
    ErrorCode.AUDIO_UNREADABLE: ("Audio not readable", "无法读取音频"),
    ErrorCode.VOICE_TOO_SHORT: ("Too little speech", "语音太短"),
    ErrorCode.IMAGE_UNREADABLE: ("Picture not readable", "无法读取图片"),
    ErrorCode.FACE_NOT_FOUND: ("No face found", "未找到人脸"),
    ErrorCode.FACE_TOO_SMALL: ("Face too small", "人脸太小"),
    ErrorCode.FETCH_REFUSED: ("Address refused", "地址被拒绝"),
    ErrorCode.FETCH_FAILED: ("Download failed", "下载失败"),
    ErrorCode.SCRIPT_MODEL_MISSING: ("No writing model", "没有可用的写作模型"),
    ErrorCode.SCRIPT_FAILED: ("Script not written", "台词生成失败"),
    ErrorCode.ENGINE_NOT_INSTALLED: ("Engine not installed", "引擎未安装"),
    ErrorCode.ENGINE_UNAVAILABLE: ("Engine unavailable", "引擎暂不可用"),
    ErrorCode.IMPORT_FAILED: ("Engine does not start", "引擎无法启动"),
    ErrorCode.PROTOCOL_MISMATCH: ("Engine speaks another version", "引擎协议不匹配"),
    ErrorCode.MODEL_MISSING: ("Model missing", "缺少模型"),
    ErrorCode.MODEL_DOWNLOAD: ("Model download failed", "模型下载失败"),
    ErrorCode.GPU_OOM: ("GPU memory full", "显存不足"),
    ErrorCode.GPU_FAULT: ("GPU fault", "显卡故障"),
    ErrorCode.GPU_UNSUPPORTED: ("GPU not supported", "显卡不受支持"),
    ErrorCode.HOST_OOM: ("Memory full", "内存不足"),
    ErrorCode.WORKER_CRASHED: ("Engine crashed", "引擎崩溃"),
    ErrorCode.WORKER_KILLED: ("Engine was ended", "引擎被终止"),
    ErrorCode.WORKER_LOST: ("Lost several times", "任务多次中断"),
    ErrorCode.WORKER_HUNG: ("Engine hangs", "引擎无响应"),
    ErrorCode.TIMEOUT: ("Took too long", "超时"),
    ErrorCode.NO_OUTPUT: ("No video came out", "没有生成视频"),
    ErrorCode.DISK_FULL: ("Disk full", "磁盘已满"),
    ErrorCode.INTERNAL_ERROR: ("Internal error", "内部错误"),
}


def title_for(code: ErrorCode, accept_language: str) -> str:
    """The title in Chinese when the caller's first language is Chinese, else in English."""
    english, chinese = TITLES[code]
    return chinese if accept_language.strip().lower().startswith("zh") else english
