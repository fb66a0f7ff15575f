// A page with a long video, of which a viewer wants a part near the end.

import { Buffer } from 'node:buffer';

import { file, html, serve } from '../support/http.mjs';

const SECONDS = 60;
// So much that a browser does not fetch all of it ahead.
const WEIGHT = 1_000_000;

// Each second has one colour. A frame is 16 by 16 pixels, a key frame of VP8.
const FRAMES = [
  ['255,0,0', 'kAEAnQEqEAAQAALATCWgAnS6AAOYAP7uQx/ubHOLcFf/bQ//Wh/+tD/pQAA='],
  ['0,255,0', '0AEAnQEqEAAQAALATCWgAnS6AfgAA7AA/t1Ef/PzO7cX9Vv/r0fz0fz0f44QAA=='],
  ['0,0,255', 'sAEAnQEqEAAQAALATCWgAnQBDv4C7AD++EcqP/bQ//9tD//20P+o7wbJFOSAAA=='],
  ['255,255,0', 'cAEAnQEqEAAQAALATCWgAnQBQAAA/vNLl/7dn//t2f/+3Z/17c7VsfgAAAA='],
  ['0,255,255', 'kAEAnQEqEAAQAALATCWgAnS6AAOYAP7tKt/V2J8KEE/+3Z/+uz/9dn/VwAA='],
  ['255,0,255', '0AEAnQEqEAAQAALATCWgAnS6AfgAA7AA/uLgv/PTNeYP8nP/rgPzgPzgP4agAA=='],
].map(([colour, frame]) => ({ colour, frame: Buffer.from(frame, 'base64') }));

const PAGE = `<meta charset="utf-8"><title>Video</title>
<video src="/film.webm" muted controls></video><canvas width="16" height="16"></canvas>`;

export async function start(scope) {
  const film = webm();
  const ranges = [];
  const served = await serve(scope, {
    'GET /': (_, response) => html(response, PAGE),
    'GET /film.webm': (request, response) => {
      ranges.push(request.headers.range);
      file(request, response, film, 'video/webm', '"one"');
    },
  });
  return {
    ...served,
    seconds: SECONDS,
    size: film.length,
    // What was asked for so far, as the field `Range` says it.
    ranges,
    // The colour of a moment.
    colour: (seconds) => FRAMES[Math.floor(seconds) % FRAMES.length].colour,
  };
}

// A WebM file (RFC 8794 and RFC 9559): what it is, where each second begins, and a cluster for each second.
function webm() {
  const clusters = Array.from({ length: SECONDS }, (_, second) => cluster(second));
  const header = element(0x1a45dfa3, [
    element(0x4282, [Buffer.from('webm')]), // DocType
    element(0x4287, [number(4)]), // DocTypeVersion
    element(0x4285, [number(2)]), // DocTypeReadVersion
  ]);
  const info = element(0x1549a966, [
    element(0x2ad7b1, [number(1_000_000)]), // TimestampScale: milliseconds
    element(0x4489, [float(SECONDS * 1000)]), // Duration
  ]);
  const track = element(0x1654ae6b, [
    element(0xae, [
      element(0xd7, [number(1)]), // TrackNumber
      element(0x73c5, [number(1)]), // TrackUID
      element(0x83, [number(1)]), // TrackType: video
      element(0x86, [Buffer.from('V_VP8')]), // CodecID
      element(0xe0, [element(0xb0, [number(16)]), element(0xba, [number(16)])]), // PixelWidth, PixelHeight
    ]),
  ]);
  // Numbers have a fixed size here, so that the length of the cues is known before what they say is.
  const before = info.length + track.length + cues(clusters, 0).length;
  const segment = element(0x18538067, [info, track, cues(clusters, before), ...clusters]);
  return Buffer.concat([header, segment]);
}

function cues(clusters, before) {
  let position = before;
  const points = clusters.map((cluster, second) => {
    const place = element(0xb7, [element(0xf7, [number(1)]), element(0xf1, [number(position)])]); // CueTrack, CueClusterPosition
    position += cluster.length;
    return element(0xbb, [element(0xb3, [number(second * 1000)]), place]); // CuePoint with its CueTime
  });
  return element(0x1c53bb6b, points);
}

function cluster(second) {
  const { frame } = FRAMES[second % FRAMES.length];
  const blocks = [0, 250, 500, 750].map((offset) => {
    const start = Buffer.from([0x81, offset >> 8, offset & 0xff, 0x80]); // the track, a signed offset, and "a key frame"
    return element(0xa3, [start, frame]); // SimpleBlock
  });
  const ballast = element(0xec, [Buffer.alloc(WEIGHT)]); // Void
  return element(0x1f43b675, [element(0xe7, [number(second * 1000)]), ...blocks, ballast]); // its Timestamp
}

function element(id, content) {
  const body = Buffer.concat(content);
  const name = Buffer.from(id.toString(16), 'hex');
  const size = number(body.length);
  size[0] = 0x01; // A length of eight bytes.
  return Buffer.concat([name, size, body]);
}

function number(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

function float(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes;
}
