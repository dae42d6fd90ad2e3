/**
 * From the bytes of a recording to peaks that can be drawn.
 */

/** Enough to see the shape of speech; above it only memory is spent. */
const DECODE_RATE_HZ = 16_000;
/** A decoded minute takes 4 MB; ten times that is not decoded for a picture. */
const MAX_BYTES = 60 * 1024 * 1024;

/**
 * @typedef {object} Shape
 * @property {number[]} peaks  0..1, evenly over the whole length
 * @property {number} seconds
 */

/**
 * @param {ArrayBuffer} bytes  left empty by the decoder
 * @param {number} count  of peaks
 * @returns {Promise<Shape|null>} null when this browser cannot read the format
 */
export async function shapeOf(bytes, count) {
  if (bytes.byteLength > MAX_BYTES || typeof OfflineAudioContext === "undefined") return null;
  try {
    const sound = await new OfflineAudioContext(1, 1, DECODE_RATE_HZ).decodeAudioData(bytes);
    return { peaks: peaksOf(channelsOf(sound), count), seconds: sound.duration };
  } catch (error) {
    console.info("the recording cannot be drawn from its own sound", error);
    return null;
  }
}

/** @param {AudioBuffer} sound */
const channelsOf = (sound) => Array.from({ length: sound.numberOfChannels }, (_, n) => sound.getChannelData(n));

/**
 * The largest value of each stretch, as loud as the loudest one allows.
 * @param {Float32Array[]} channels
 * @param {number} count
 */
export function peaksOf(channels, count) {
  const length = channels[0]?.length ?? 0;
  const peaks = new Array(Math.max(1, Math.min(count, length))).fill(0);
  for (const channel of channels) {
    for (let at = 0; at < length; at += 1) {
      const bucket = Math.floor((at * peaks.length) / length);
      const value = Math.abs(channel[at]);
      if (value > peaks[bucket]) peaks[bucket] = value;
    }
  }
  return peaks;
}
