import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type AccountKeys, AccountKeysSchema, type CallKey, CallKeySchema, DeviceKeysSchema } from "../gen/parley/keys/v1/messages_pb.js";
import type { MockBackend } from "./backend.js";

type Device = MessageInitShape<typeof DeviceKeysSchema>;
type Published = { deviceId: string; version: number; signingKey: Uint8Array; kemKey: Uint8Array; signature: Uint8Array; sealedAccountKey: Uint8Array };
type Sent = { callId: string; deviceId: string; epoch: number; keys: readonly { userId: string; deviceId: string; sealedKey: Uint8Array }[] };

/** Keys of devices, and sealed keys of calls. Everybody may ask about everybody. */
export class MockKeys {
  private readonly accounts = new Map<string, AccountKeys>();
  private readonly sealed = new Map<string, CallKey>();

  constructor(private readonly backend: MockBackend) {}

  /** What somebody has published. */
  of(userId: string): AccountKeys | undefined {
    return this.accounts.get(userId);
  }

  methodsOf(userId: string) {
    return {
      publishDeviceKeys: ({ accountKey, version, ...device }: Published & { accountKey: Uint8Array }) => {
        this.backend.count("publishDeviceKeys");
        const before = this.accounts.get(userId);
        if (version === (before?.version ?? 0) + 1) return this.keep(userId, version, accountKey, [device]);
        if (!before || before.version !== version) throw new ConnectError("outdated", Code.FailedPrecondition);
        return this.keep(userId, version, accountKey, [...before.devices.filter(({ deviceId }) => deviceId !== device.deviceId), device]);
      },
      confirmDevice: ({ deviceId, signature, sealedAccountKey }: Published) => {
        const before = this.accounts.get(userId);
        if (!before) throw new ConnectError("no keys", Code.NotFound);
        const devices = before.devices.map((device) => (device.deviceId === deviceId ? { ...device, signature, sealedAccountKey } : device));
        return this.keep(userId, before.version, before.accountKey, devices);
      },
      removeDeviceKeys: ({ deviceId }: { deviceId: string }) => {
        const before = this.accounts.get(userId);
        if (before) this.keep(userId, before.version, before.accountKey, before.devices.filter((device) => device.deviceId !== deviceId));
        return {};
      },
      listDeviceKeys: ({ userIds }: { userIds: readonly string[] }) => ({ accounts: userIds.map((id) => this.accounts.get(id)).filter((account) => account !== undefined) }),
      sendCallKeys: ({ callId, deviceId, epoch, keys }: Sent) => {
        this.backend.count("sendCallKeys");
        for (const to of keys) {
          const key = create(CallKeySchema, { callId, senderUserId: userId, senderDeviceId: deviceId, deviceId: to.deviceId, epoch, sealedKey: to.sealedKey });
          this.sealed.set(`${callId} ${userId} ${to.userId}`, key);
          this.backend.sendEvent([to.userId], { case: "callKey", value: key });
        }
        return {};
      },
      listCallKeys: ({ callId, deviceId }: { callId: string; deviceId: string }) => ({ keys: [...this.sealed.values()].filter((key) => key.callId === callId && key.deviceId === deviceId) }),
    };
  }

  private keep(userId: string, version: number, accountKey: Uint8Array, devices: readonly Device[]): { keys: AccountKeys } {
    const keys = create(AccountKeysSchema, { userId, version, accountKey, devices: [...devices] });
    this.accounts.set(userId, keys);
    this.backend.sendEvent([userId], { case: "keysChanged", value: { $typeName: "parley.gateway.v1.KeysChanged" } });
    return { keys };
  }
}
