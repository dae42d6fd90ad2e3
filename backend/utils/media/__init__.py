"""Media handling of the service process: every decoder runs in an ffmpeg child, none in our own.

    ffmpeg.py   one run of the binary: argv, whitelists, deadline, cancel, kill
    probe.py    what a media file holds (`MediaInfo`)
    mp4.py      the few MP4 boxes we read ourselves: order of the file, metadata tags
    loudness.py loudness, peaks and silence of a finished sound
    verify.py   decodes a finished result whole and compares its lengths
    mux.py      video + speech -> MP4 with provenance; burn-in of subtitles; thumbnail

All functions block; asynchronous callers put them in a thread. (Subprocesses of asyncio need a
proactor loop on Windows, which `uvicorn --reload` does not use.)
"""
