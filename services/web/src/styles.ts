/** The page's style sheets, in the order in which they build on each other. */
import "./style/base.css";
import "./style/login.css";
import "./style/conversations.css";
import "./style/folders.css";
import "./style/thread.css";
import "./style/pins.css";
import "./style/messages.css";
import "./style/composer.css";
import "./style/group.css";
import "./style/files.css";
import "./style/windows.css";
import "./style/settings.css";
import "./style/call.css";
import "./style/call-notes.css";
import "./style/group-call.css";
import "./style/call-participants.css";
import "./style/call-banner.css";
