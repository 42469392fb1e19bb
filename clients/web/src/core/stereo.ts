/** Opus (RFC 7587) as an SDP names it. */
const OPUS = /^a=rtpmap:(\d+) opus\/48000\/2/im;

/**
 * An offer with Opus in stereo (RFC 7587 section 7.1) on the m-line that sends the sound of a screen, and on the one that
 * receives it; lines are counted from 0. Browsers offer no stereo by themselves, or only on what they receive.
 */
export function withStereo(sdp: string, { sent, received }: { readonly sent: number; readonly received: number }): string {
  const [session = "", ...lines] = sdp.split(/^(?=m=)/m);
  const changed = lines.map((line, index) => {
    if (index === sent) return withParameters(line, ["stereo=1", "sprop-stereo=1"]);
    return index === received ? withParameters(line, ["stereo=1"]) : line;
  });
  return [session, ...changed].join("");
}

function withParameters(line: string, parameters: readonly string[]): string {
  const payloadType = OPUS.exec(line)?.[1];
  if (payloadType === undefined) return line;
  const known = new RegExp(`^a=fmtp:${payloadType} (.*?)(\\r?)$`, "m");
  const [found, own = "", end = ""] = known.exec(line) ?? [];
  if (found === undefined) return line.replace(OPUS, (map) => `${map}\r\na=fmtp:${payloadType} ${parameters.join(";")}`);
  const names = new Set(own.split(";").map((parameter) => parameter.split("=")[0]?.trim()));
  const missing = parameters.filter((parameter) => !names.has(parameter.split("=")[0]));
  return line.replace(found, `a=fmtp:${payloadType} ${[own, ...missing].join(";")}${end}`);
}
