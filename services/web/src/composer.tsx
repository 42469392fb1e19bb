import type { JSX } from "preact";
import { useContext, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Conversation, Draft, Message, ParleyClient, Upload } from "@parley/client";
import { allDone, findEntities, isBlank } from "@parley/client";
import { canRecord, StickerWindow, VoiceWindow } from "./composer-windows";
import { Icon, type IconName } from "./icons";
import { LinkDraft } from "./link-card";
import { MentionList, peopleOf, useMentions } from "./mentions";
import { messageLine, type Viewer } from "./conversation-text";
import type { FilePicker } from "./file-picker";
import { dateTime } from "./format";
import { PollDialog } from "./poll-dialog";
import { previews } from "./previews";
import { nextHourMs, ScheduleDialog } from "./schedule-dialog";
import { isOffered, Stickers } from "./stickers";
import { UploadList } from "./upload-list";
import { linksOf, useLinkPreview } from "./use-link-preview";
import { fieldDirection, lineOf, made, type Problem, t } from "./text";

/** What the next text is, when it is no plain new message. */
export interface Task {
  readonly kind: "reply" | "edit";
  readonly message: Message;
}

interface ComposerProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly viewer: Viewer;
  /** The peer's name, or the group's title. */
  readonly name: string;
  readonly picking: FilePicker;
  readonly task: Task | undefined;
  readonly onDone: () => void;
}

/** What of the composer stands in a window of its own. */
type Opened = "schedule" | "poll" | "sticker" | "voice";

/** Enter sends; Shift and Enter starts a new line; Escape ends a reply or an edit. */
export function Composer(props: ComposerProps): JSX.Element {
  const { client, conversation, viewer, name, task, picking, onDone } = props;
  const field = useRef<HTMLTextAreaElement>(null);
  const { text, change, submit, schedule, problem, once, setOnce, link } = useWriting(props);
  const [opened, setOpened] = useState<Opened | undefined>(undefined);
  const stickers = useContext(Stickers);
  const mentions = useMentions(field, text, change, peopleOf(conversation, viewer));
  const { textChars } = client.limits;
  const excess = text.length > textChars ? [...text].length - textChars : 0;
  const editing = task?.kind === "edit";
  const uploads = editing ? [] : client.uploads.of(conversation.id);
  // There is nothing to send at a time: what stands in its place is spoken now.
  const canSpeak = !editing && canRecord() && text === "" && uploads.length === 0;
  const canBeOnce = isBlank(text) && isOneOfPictures(uploads);
  const sendable = (!isBlank(text) || uploads.length > 0) && excess <= 0 && allDone(uploads) && (!once || canBeOnce);
  useLayoutEffect(() => fit(field.current), [text]);
  useEffect(() => {
    // On a touch screen this would push the keyboard over the conversation, unless it was asked for.
    if (task || matchMedia("(pointer: fine)").matches) field.current?.focus();
  }, [task]);
  const send = (): void => {
    if (!sendable) return;
    submit();
    field.current?.focus();
  };
  const dropPreview = (): void => {
    link.drop();
    field.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    // While an input method composes, Enter chooses a word.
    if (event.isComposing || mentions.onKeyDown(event)) return;
    if (event.key === "Escape" && task) {
      event.preventDefault();
      return onDone();
    }
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    send();
  };
  const onPaste = (event: ClipboardEvent): void => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0 || editing) return;
    event.preventDefault();
    picking.add(files);
  };
  const close = (): void => setOpened(undefined);
  const beside = { client, conversationId: conversation.id, replyToSeq: task?.kind === "reply" ? task.message.seq : 0, onSent: onDone, onClose: close };
  const verb = editing ? t("save") : t("composer.send");
  const lines = [lineOf(problem), lineOf(picking.problem), excess > 0 && t("composer.long", { count: excess }), once && !canBeOnce && t("once.alone")];
  return (
    <>
      <form
        class="composer"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <p class="problem" role="alert">
          {lines.filter(Boolean).join(" ")}
        </p>
        <MentionList mentions={mentions} />
        {task && <TaskLine task={task} viewer={viewer} onDone={onDone} />}
        <UploadList client={client} uploads={uploads} />
        {link.preview && <LinkDraft preview={link.preview} onDrop={dropPreview} />}
        {!editing && (once || canBeOnce) && (
          <label class="once-switch">
            <input type="checkbox" role="switch" checked={once} onChange={(event) => setOnce(event.currentTarget.checked)} /> {t("once")}
          </label>
        )}
        <div class="composer-row">
          {!editing && <FileButton onFiles={picking.add} />}
          {!editing && <SmallButton icon="poll" label={t("poll.new")} onClick={() => setOpened("poll")} />}
          {!editing && isOffered(stickers, client.limits) && <SmallButton icon="sticker" label={t("stickers")} onClick={() => setOpened("sticker")} />}
          <textarea
            ref={field}
            rows={1}
            value={text}
            aria-label={t("composer.to", { name })}
            placeholder={t("composer.write")}
            {...fieldDirection(text)}
            onInput={(event) => change(event.currentTarget.value)}
            onKeyDown={onKeyDown}
            onSelect={mentions.look}
            onPaste={onPaste}
            {...mentions.aria}
          />
          {canSpeak && <SmallButton key="voice" icon="mic" label={t("voice.record")} onClick={() => setOpened("voice")} />}
          {!editing && !canSpeak && <SmallButton key="later" icon="clock" label={t("scheduled.later")} disabled={!sendable || once} onClick={() => setOpened("schedule")} />}
          <button type="submit" class="send" aria-label={verb} title={allDone(uploads) ? verb : t("composer.waiting")} disabled={!sendable}>
            <Icon name={editing ? "check" : "send"} />
          </button>
        </div>
      </form>
      {opened === "schedule" && <ScheduleDialog title={t("scheduled.later")} verb={t("scheduled.verb")} sendTimeMs={nextHourMs()} act={schedule} onClose={close} />}
      {opened === "poll" && <PollDialog client={client} conversationId={conversation.id} onClose={close} />}
      {opened === "sticker" && <StickerWindow {...beside} provider={stickers} />}
      {opened === "voice" && <VoiceWindow {...beside} />}
    </>
  );
}

interface SmallButtonProps {
  readonly icon: IconName;
  readonly label: string;
  readonly disabled?: boolean;
  readonly onClick: () => void;
}

function SmallButton({ icon, label, disabled = false, onClick }: SmallButtonProps): JSX.Element {
  return (
    <button type="button" class="attach" aria-label={label} title={label} disabled={disabled} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}

/** Whether it is one picture or video, which can be opened once. */
function isOneOfPictures(uploads: readonly Upload[]): boolean {
  return uploads.length === 1 && uploads.every(({ contentType }) => /^(image|video)\//.test(contentType));
}

/** Opens the browser's choice of files. */
function FileButton({ onFiles }: { onFiles: (files: readonly File[]) => void }): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const onChange = (event: { currentTarget: HTMLInputElement }): void => {
    onFiles([...(event.currentTarget.files ?? [])]);
    // The same file can be chosen again.
    event.currentTarget.value = "";
  };
  return (
    <>
      <SmallButton icon="clip" label={t("composer.attach")} onClick={() => input.current?.click()} />
      <input ref={input} type="file" multiple hidden data-testid="files" onChange={onChange} />
    </>
  );
}

/** The text in the field: a draft that is kept, or the message under edit in its place for a while. */
function useWriting(props: ComposerProps) {
  const { client, conversation, viewer, task, onDone } = props;
  const { drafts } = client;
  const { id } = conversation;
  const [text, setText] = useState(drafts.get(id));
  const [problem, setProblem] = useState<Problem>(undefined);
  const [once, setOnce] = useState(false);
  const edited = task?.kind === "edit" ? task.message : undefined;
  const before = edited?.content.kind === "text" ? edited.content : undefined;
  const link = useLinkPreview(text, before?.preview);
  useEffect(() => () => client.presence.stopTyping(id), []);
  useLayoutEffect(() => {
    setProblem(undefined);
    setText(before?.text ?? drafts.get(id));
    // What went without a preview stays so, unless it gets another link.
    link.leaveOut(before && !before.preview ? (linksOf(before.text)[0] ?? "") : "");
  }, [edited]);
  const kept = drafts.get(id);
  useLayoutEffect(() => {
    // Written, or sent, on another device.
    if (!edited && kept.trim() !== text.trim()) setText(kept);
  }, [kept]);
  const change = (next: string): void => {
    setText(next);
    if (edited) return;
    drafts.set(id, next);
    client.presence.draft(id, next);
  };
  const draft = (): Draft => {
    const written = text.trim();
    const entities = findEntities(written, peopleOf(conversation, viewer), client.limits.textEntities);
    const attachments = client.uploads.of(id).flatMap(({ attachment }) => attachment ?? []);
    return { text: written, entities, preview: link.preview, replyToSeq: task?.message.seq ?? 0, attachments };
  };
  const finish = (): void => {
    client.uploads.take(id);
    setOnce(false);
    link.leaveOut("");
    change("");
    onDone();
  };
  const submit = (): void => {
    const written = draft();
    if (edited) return void client.messaging.edit(id, edited.seq, written.text, written.entities, written.preview).then(onDone, setProblem);
    for (const upload of client.uploads.of(id)) if (upload.attachment) previews.rename(upload.id, upload.attachment.id);
    client.messaging.send(id, once ? { ...written, text: "", entities: [], preview: undefined, viewOnce: true } : written);
    finish();
  };
  const attempt = useRef({ of: "", id: "" });
  const schedule = async (sendTimeMs: number): Promise<void> => {
    const written = draft();
    // One id for the same at the same time: a second attempt after a lost answer schedules nothing twice.
    const of = JSON.stringify([sendTimeMs, written]);
    if (attempt.current.of !== of) attempt.current = { of, id: crypto.randomUUID() };
    await client.scheduled.schedule(id, written, sendTimeMs, attempt.current.id);
    attempt.current = { of: "", id: "" };
    client.showNotice(t("scheduled.done", { time: made(dateTime(sendTimeMs)) }));
    finish();
  };
  return { text, change, submit, schedule, problem, once, setOnce, link };
}

function TaskLine({ task, viewer, onDone }: { task: Task; viewer: Viewer; onDone: () => void }): JSX.Element {
  const { kind, message } = task;
  const reply = (): string => (message.senderId === viewer.selfId ? t("composer.reply.self") : t("composer.reply", { name: viewer.nameOf(message.senderId) }));
  return (
    <div class="task">
      <Icon name={kind} />
      <p class="grow">
        <strong>{kind === "edit" ? t("composer.editing") : reply()}</strong>
        <span class="task-text">
          <bdi>{messageLine(message, viewer)}</bdi>
        </span>
      </p>
      <button type="button" class="icon-button" aria-label={kind === "edit" ? t("composer.edit.stop") : t("composer.reply.stop")} title={t("cancel.esc")} onClick={onDone}>
        <Icon name="close" />
      </button>
    </div>
  );
}

/** Grows with its text; the style sheet sets the greatest height. */
function fit(field: HTMLTextAreaElement | null): void {
  if (!field) return;
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}
