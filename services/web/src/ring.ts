/** Two short tones, in hertz. */
const TONES = [523.25, 659.25];
const TONE_S = 0.28;
const PERIOD_MS = 2400;

/** The sound of an incoming call. Silent where the browser allows no sound before the first click. */
export class RingTone {
  private context: AudioContext | undefined;
  private timer: ReturnType<typeof setInterval> | undefined;

  set(ringing: boolean): void {
    if (ringing === (this.timer !== undefined)) return;
    if (ringing) this.start();
    else this.stop();
  }

  private start(): void {
    this.context ??= new AudioContext();
    void this.context.resume().catch(() => undefined);
    this.play();
    this.timer = setInterval(() => this.play(), PERIOD_MS);
  }

  private stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    void this.context?.close().catch(() => undefined);
    this.context = undefined;
  }

  private play(): void {
    const { context } = this;
    if (context?.state !== "running") return;
    TONES.forEach((hertz, i) => playTone(context, hertz, context.currentTime + i * TONE_S));
  }
}

function playTone(context: AudioContext, hertz: number, startS: number): void {
  const oscillator = context.createOscillator();
  const gain = context.createGain();
  oscillator.frequency.value = hertz;
  gain.gain.setValueAtTime(0, startS);
  gain.gain.linearRampToValueAtTime(0.08, startS + 0.03);
  gain.gain.linearRampToValueAtTime(0, startS + TONE_S);
  oscillator.connect(gain).connect(context.destination);
  oscillator.start(startS);
  oscillator.stop(startS + TONE_S);
}
