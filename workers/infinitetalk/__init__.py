"""InfiniteTalk, native: a portrait or a video and speech become a talking video, on diffusers and transformers."""
