import type { CallSettings as WireSettings } from "./gen/parley/calls/v1/messages_pb.js";
import type { Api } from "./api.js";
import { orFailure } from "./errors.js";

/** Hours in which calls do not ring, in minutes after midnight; over midnight when the end is before the start. */
export interface QuietHours {
  readonly startMinute: number;
  readonly endMinute: number;
}

export interface Ringing {
  /** Rung even while in another call. */
  readonly callWaiting: boolean;
  /** Undefined: at all hours. */
  readonly quietHours: QuietHours | undefined;
}

/** How this user wants to be rung, on all devices. Both methods reject with a Failure. */
export class CallSettings {
  /** Undefined until `refresh` has succeeded. */
  current: Ringing | undefined;
  private wire: WireSettings | undefined;

  constructor(
    private readonly api: Api,
    private readonly changed: () => void,
  ) {}

  async refresh(): Promise<void> {
    this.take((await orFailure(this.api.calls.getCallSettings({}))).settings);
  }

  /** Changes what is given, and leaves the rest as it is. Quiet hours are by this device's clock, on each day. */
  async update(change: Partial<Ringing>): Promise<void> {
    if (!this.wire) await this.refresh();
    const { callWaiting = this.wire?.callWaiting ?? false } = change;
    const hours = "quietHours" in change ? hereAndDaily(change.quietHours) : this.wire?.quietHours;
    const settings = hours ? { callWaiting, quietHours: hours } : { callWaiting };
    this.take((await orFailure(this.api.calls.updateCallSettings({ settings }))).settings);
  }

  private take(settings: WireSettings | undefined): void {
    const hours = settings?.quietHours;
    this.wire = settings;
    this.current = {
      callWaiting: settings?.callWaiting ?? false,
      quietHours: hours && { startMinute: hours.startMinute, endMinute: hours.endMinute },
    };
    this.changed();
  }
}

/** As requests carry hours: by this device's clock, on each day. */
export function hereAndDaily(hours: QuietHours | undefined): (QuietHours & { readonly timeZone: string }) | undefined {
  return hours && { ...hours, timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone };
}
