"""All-in-one: the service process (FastAPI, asyncio). It never imports numpy, torch, cv2 or onnxruntime."""

__version__ = "0.1.0"
