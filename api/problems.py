"""One table from error code to HTTP status and to sentences, Chinese first: RFC 9457 problems.

Lower rooms raise codes and facts; only here do they become words. Every entry says what happened
and what to do next. Sentences may name facts as `{fact}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ingest.bay import Result
from policies.rulebook import RuleError
from storage.errors import LiuhenError


class ApiError(LiuhenError):
    """A face's own refusal, by code."""

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(**facts)
        self.code = code


@dataclass(frozen=True, slots=True)
class Words:
    """Status, what happened, what to do next; zh then en."""

    status: int
    zh: str
    en: str
    next_zh: str
    next_en: str


TABLE: dict[str, Words] = {
    "worker-busy": Words(
        409,
        "已有名为 {worker} 的后台作业进程在运行。",
        "A worker named {worker} runs already.",
        "请换一个名称(--name),或先停止那一个;单机数据库只能运行一个。",
        "Take another name (--name), or stop that one; with SQLite there is only one.",
    ),
    "worker-died": Words(
        500,
        "执行该作业的进程多次异常终止。",
        "The workers that did this job died again and again.",
        "请查看工作进程日志和内存,再到“后台作业”页重试。",
        "Look at the worker's log and memory, then retry on the page of jobs.",
    ),
    "unreadable-object": Words(
        503,
        "对象暂时无法读取。",
        "An object cannot be read now.",
        "稍后自动重试;反复出现的,请检查磁盘或对象存储。",
        "Tried again by itself; if it recurs, check the disk or the object store.",
    ),
    "too-large": Words(
        413,
        "录像超过可在中心解封检查的大小(unwrap_gb)。",
        "The recording is larger than may be unwrapped at the centre (unwrap_gb).",
        "如内存或磁盘允许,可调高 unwrap_gb 后重新提出。",
        "Raise unwrap_gb if memory or disk allow, then ask again.",
    ),
    "no-picture": Words(
        422,
        "该录像中没有可用的画面。",
        "There is no picture to be had from this recording.",
        "无需处理;原始录像不受影响。",
        "Nothing to do; the original is as it was.",
    ),
    "unknown-kind": Words(
        400,
        "没有这一类后台作业:{kind}。",
        "There is no such kind of job: {kind}.",
        "请核对类别;升级后仍不行请联系管理员。",
        "Check the kind; perhaps a newer version knows it.",
    ),
    "archive-away": Words(
        503,
        "归档盘未接入,或者不是本单位的归档:{archive}。",
        "The archive is not attached, or is not this office's: {archive}.",
        "请接入归档盘后重试;首次使用请先运行 liuhen archive init。",
        "Attach it and try again; before its first use: liuhen archive init.",
    ),
    "destroyed": Words(
        410,
        "该录音录像已于 {at} 依法销毁。",
        "The recording was destroyed at {at}.",
        "请在“保管”页查看销毁证明;已销毁的无法恢复。",
        "See its destruction certificate on the retention page; it cannot be brought back.",
    ),
    "still-kept": Words(
        409,
        "录音录像 {recording} 尚不能处置。",
        "Recording {recording} must still be kept.",
        "请查看保管原因:期限未到、已冻结、存储保管锁或者待确认的关联,都不得处置。",
        "See why it is kept: a period, a hold, a lock or a proposed link.",
    ),
    "hold-authority": Words(
        403,
        "这项冻结只有作出它的“{authority}”可以解除。",
        "Only the authority that placed this hold may release it: {authority}.",
        "请由{who_zh}办理:一人提出,与本事项无关的另一人批准。",
        "Ask {who_en}: one proposes, another whom it does not concern approves.",
    ),
    "proceeding-authority": Words(
        403,
        "投诉、复议、诉讼的答复和解除冻结,不由您办理。",
        "It is not for you to answer a complaint or appeal, or to release what it holds.",
        "请由{who_zh}办理,且须与本事项无关;解除冻结须两人,一人提出、另一人批准。",
        "Ask {who_en}, whom it must not concern; a release takes two: propose, approve.",
    ),
    "concerned": Words(
        403,
        "本事项与您有关({tie_zh}),您应当回避。",
        "This concerns you ({tie_en}), so you may not decide upon it.",
        "请由与本事项无关的{who_zh}办理;换账号不算另一人。",
        "Ask {who_en} whom it does not concern; another account of yours does not do.",
    ),
    "involved": Words(
        403,
        "所涉录音录像与您有关({tie_zh}),不能由您认定或者处置。",
        "The footage concerns you ({tie_en}), so it is not for you to judge or to dispose of.",
        "请由未拍摄、未提交该录像,也未参加该执法活动的有权人员办理。",
        "Ask somebody entitled who neither made it, handed it in, nor took part.",
    ),
    "release-same-person": Words(
        403,
        "提出解除冻结的人不得自己批准。",
        "Who proposed the release cannot approve or reject it.",
        "请由与本事项无关的另一人({who_zh})决定;换账号不算另一人。",
        "Ask another person ({who_en}); another account of yours does not do.",
    ),
    "release-not-proposer": Words(
        403,
        "只有提出人可以撤回。",
        "Only who proposed the release can withdraw it.",
        "不同意解除的,请由{who_zh}填写理由后驳回。",
        "To keep the hold, let {who_en} reject it with a reason.",
    ),
    "release-state": Words(
        409,
        "这项解除冻结的提议已经办结。",
        "This proposal to release is over.",
        "请刷新页面查看结果;仍要解除的,请重新提出。",
        "Look at it again; to release it still, propose anew.",
    ),
    "release-void": Words(
        409,
        "提出之后,冻结的内容有变化,或者提出人已与本事项有关:该提议失效,冻结仍然有效。",
        "What is held changed since, or its proposer is concerned by now: the proposal is void.",
        "请核对现在冻结的内容,再由{who_zh}重新提出。",
        "Look at what is held now, then let {who_en} propose anew.",
    ),
    "release-unanswered": Words(
        409,
        "该投诉、复议或者诉讼尚未答复,冻结不能解除。",
        "It was not answered yet, so what it holds cannot be released.",
        "请先由{who_zh}登记答复,再提出解除。",
        "Let {who_en} enter the answer first, then propose.",
    ),
    "another-person": Words(
        403,
        "提出人不得自己审批。",
        "Who proposed it cannot decide it.",
        "请由另一名有权人员决定;换账号不算另一人。",
        "Ask another person; another account of the same person does not do.",
    ),
    "no-certificate": Words(
        404,
        "该处置还没有销毁证明。",
        "The disposition has no destruction certificate yet.",
        "全部执行并核实后自动出具;请查看该处置的进度。",
        "It is issued when every recording of it is settled; look how far it is.",
    ),
    "font-missing": Words(
        503,
        "缺少中文字体或者字体无法嵌入:{font}。",
        "The font of the certificate is missing or cannot be embedded: {font}.",
        "请安装 fonts-wqy-microhei,或用 certificate_font 另指一个中文 TrueType 字体。",
        "Install fonts-wqy-microhei, or name another TrueType font by certificate_font.",
    ),
    "disposition-empty": Words(
        422,
        "没有选择任何录音录像。",
        "No recording was chosen.",
        "请至少选择一条到期的录音录像。",
        "Choose at least one that is due.",
    ),
    "disposition-batch-limit": Words(
        422,
        "一次提出的数量超过上限。",
        "More recordings than one disposition may hold.",
        "请分批提出。",
        "Propose them in several parts.",
    ),
    "disposition-state": Words(
        409,
        "该处置的当前状态不允许这一步操作。",
        "The disposition's present state does not allow this step.",
        "请刷新页面,查看是否已批准、已撤回或者已开始执行。",
        "Look at it again: perhaps it was approved, withdrawn, or has begun.",
    ),
    "disposition-same-person": Words(
        403,
        "提出人与审批人、各审批人之间不得为同一人。",
        "Who proposes and who approves must be different persons.",
        "请由另一名有权人员审批;换账号不算另一人。",
        "Ask another person; another account of the same person does not do.",
    ),
    "disposition-approved-already": Words(
        409,
        "该处置所需的审批已经齐备。",
        "The disposition has all approvals that it needs.",
        "无需再次审批。",
        "Nothing to do.",
    ),
    "disposition-cooling": Words(
        409,
        "冷静期未满,尚不能销毁。",
        "The cooling-off time is not over.",
        "期满后自动执行;如需停止,请撤回。",
        "It is executed by itself then; withdraw it to stop it.",
    ),
    "disposition-approvals-missing": Words(
        409,
        "近期处置数量较大,还需另一人再次审批。",
        "So much was approved lately that one more person must approve.",
        "请由尚未审批过的有权人员审批。",
        "Ask somebody who has not approved it yet.",
    ),
    "clock-nobody": Words(
        503,
        "无法核对服务器时钟,已停止一切销毁。",
        "Nobody vouches for the server's clock: nothing is destroyed.",
        "请设置 LIUHEN_TIME_SERVERS(授时服务器),并检查网络。",
        "Set LIUHEN_TIME_SERVERS, and check the network.",
    ),
    "clock-ahead": Words(
        503,
        "服务器时钟比可信时间快 5 分钟以上,已停止一切销毁。",
        "The server's clock is more than 5 minutes ahead: nothing is destroyed.",
        "请校准时钟并查明原因,再重新提出作业。",
        "Set the clock, find out why, then ask for the job again.",
    ),
    "clock-behind-log": Words(
        503,
        "日志中有来自未来的条目,时钟曾经走快,已停止一切销毁。",
        "The log has entries from the future: some clock ran ahead. Nothing is destroyed.",
        "请先查明是哪台机器的时钟出错,核对那段时间的处置。",
        "Find out whose clock it was, and look at what was destroyed then.",
    ),
    "log-clock": Words(
        503,
        "服务器时钟({now})早于监管链日志的最后一条({last}),没有写入任何内容。",
        "The server's clock ({now}) is behind the log's last entry ({last}): nothing was written.",
        "请先核对标准时间。时钟慢了:校准后重试。时钟以前走快、现在已准:由一人写明理由,"
        "运行 liuhen log accept-clock --reason …,日志按现在的时间继续。",
        "Compare with a true clock. If ours is slow, set it and retry. If it had run ahead and is"
        " right now: one person says why, liuhen log accept-clock --reason …, and the log goes on.",
    ),
    "clock-stale": Words(
        503,
        "时钟在核对之后又变动,已停止本次销毁。",
        "The clock changed after it was compared: this run stopped.",
        "稍后自动重试;反复出现的,请检查是否有人改动时钟。",
        "Tried again by itself; if it recurs, somebody may be setting the clock.",
    ),
    "turn-lost": Words(
        409,
        "该作业已由另一进程接手。",
        "Another worker has taken this job over.",
        "无需处理。",
        "Nothing to do.",
    ),
    "enrolment-code": Words(
        403,
        "登记码不对、已作废或已过期。",
        "The enrolment code is wrong, withdrawn, or too old.",
        "请核对登记码;仍不行请县里管理员重新发码(24 小时内有效)。",
        "Check it; the administrator can give a new one (valid for 24 hours).",
    ),
    "enrolment-used": Words(
        409,
        "该登记码已被另一台机器使用。",
        "Another machine has used this enrolment code.",
        "如不是本单位所用,请立即通知县里管理员撤销,并重新发码。",
        "If that was not you, tell the administrator at once; ask for a new code.",
    ),
    "enrolment-key": Words(
        409,
        "采集站密钥与登记码不符,或密钥已登记过。",
        "The station's key does not fit the code, or is enrolled already.",
        "请在本站重新执行登记。",
        "Enrol this station anew.",
    ),
    "enrolment-unknown": Words(
        401,
        "县中心不认识本采集站的密钥。",
        "The centre does not know this station's key.",
        "请核对中心地址;地址无误的,请管理员重新发登记码。",
        "Check the centre's address; if it is right, ask for a new code.",
    ),
    "enrolment-token": Words(
        401,
        "采集站需要重新证明身份。",
        "The station must prove itself again.",
        "采集站会自动重试,无需操作。",
        "The station does so by itself.",
    ),
    "enrolment-assertion": Words(
        401,
        "采集站身份证明无效。",
        "The station's assertion is not valid.",
        "请核对中心地址是否为本县中心;仍不行请联系管理员。",
        "Check that this is your county's centre; else tell the administrator.",
    ),
    "enrolment-replay": Words(
        401,
        "采集站身份证明被重复使用,已拒绝并记入日志。",
        "The station's assertion was used before; refused and logged.",
        "采集站会自动重试;反复出现的,请管理员检查网络是否被人截取。",
        "The station tries again; if it recurs, somebody may be listening.",
    ),
    "enrolment-clock": Words(
        401,
        "采集站的时间与中心相差过大。",
        "The station's time differs too much from the centre's.",
        "采集站会按中心时间重试;仍不行请校准本机时钟。",
        "The station tries again by the centre's time; else set its clock.",
    ),
    "enrolment-revoked": Words(
        403,
        "本采集站已被县中心撤销,不能再上传;已封存的录像仍在本站,未丢失。",
        "This station was revoked and may not deliver; what it sealed is still here.",
        "请勿清除记录仪;请联系县里管理员重新发登记码。",
        "Clear no recorder; ask the administrator for a new code.",
    ),
    "enrolment-expired": Words(
        403,
        "本采集站的登记已到期,不能再上传;已封存的录像仍在本站,未丢失。",
        "This station's enrolment has expired; what it sealed is still here.",
        "请勿清除记录仪;请联系县里管理员重新发登记码。",
        "Clear no recorder; ask the administrator for a new code.",
    ),
    "enrolment-keys": Words(
        403,
        "应答的不是发码的县中心:公钥与登记码不符,登记已中止。",
        "Who answered is not the centre that gave the code: the keys differ.",
        "请核对中心地址,并通知县里管理员;切勿使用来历不明的登记码。",
        "Check the address and tell the administrator.",
    ),
    "station-own": Words(
        409,
        "{station} 是本服务自己的采集站,不用登记码。",
        "{station} is this office's own station; it needs no code.",
        "请给新的采集站另起一个编号。",
        "Give the new station another id.",
    ),
    "station-other": Words(
        409,
        "编号 {station} 已是{township}的“{name}”。",
        "The id {station} is taken: {name}, {township}.",
        "请核对编号;给原来的采集站换新码,不必再填名称和乡镇。",
        "Check the id; for a new code of that station leave name and township out.",
    ),
    "station-unenrolled": Words(
        409,
        "采集站 {station} 没有可以撤销的登记。",
        "The station {station} has no enrolment to revoke.",
        "请刷新页面核对登记状态。",
        "Reload, and look at what the enrolment is worth.",
    ),
    "centre-unreachable": Words(
        503,
        "连不上县中心,录像已封存在本站,联网后自动上传。",
        "The centre cannot be reached; what is sealed waits here.",
        "请检查网线、路由器和县中心地址;记录仪可照常采集。",
        "Check cable, router and address; recorders can be docked as usual.",
    ),
    "centre-unknown-name": Words(
        503,
        "县中心的域名解析不了,录像已封存在本站,联网后自动上传。",
        "The centre's name does not resolve; what is sealed waits here.",
        "请检查网络和 DNS 设置;记录仪可照常采集。",
        "Check network and DNS; recorders can be docked as usual.",
    ),
    "centre-timeout": Words(
        503,
        "县中心应答超时,将自动重试,已上传的部分不会重传。",
        "The centre did not answer in time; the station tries again where it stopped.",
        "网络慢时属正常;长时间不恢复请报修线路。",
        "Usual on slow links; if it lasts, have the line checked.",
    ),
    "centre-portal": Words(
        503,
        "网络要求先登录或被拦截:应答的不是县中心,没有上传任何内容。",
        "Something else answered instead of the centre (a login page?); nothing was sent.",
        "请用本机浏览器完成上网认证,或联系网络管理员放行。",
        "Log in to the network with a browser, or have it opened.",
    ),
    "centre-busy": Words(
        503,
        "县中心正忙,将自动重试。",
        "The centre is busy; the station tries again by itself.",
        "无需操作;超过一小时请联系县里管理员。",
        "Nothing to do; after an hour tell the administrator.",
    ),
    "centre-failing": Words(
        503,
        "县中心出错,将自动重试;录像仍在本站。",
        "The centre failed; the station tries again, footage is still here.",
        "反复出现请联系县里管理员。",
        "If it recurs, tell the administrator.",
    ),
    "centre-tls": Words(
        503,
        "对方不支持安全加密连接,多半不是县中心(可能被拦截),没有上传任何内容。",
        "What answers speaks no TLS that may be trusted; most likely not the centre.",
        "请核对中心地址和端口;需要上网认证的先完成认证,并通知网络管理员。",
        "Check address and port; log in to the network where it asks for that.",
    ),
    "centre-certificate-expired": Words(
        503,
        "县中心的证书已过期(或本机时钟偏快),为安全起见没有上传。",
        "The centre's certificate has expired (or this clock is ahead); nothing was sent.",
        "请先校准本机时钟;时钟无误的,请县里管理员更换证书。",
        "Set this computer's clock; else the administrator must renew the certificate.",
    ),
    "centre-certificate-not-yet": Words(
        503,
        "县中心的证书尚未生效(多半是本机时钟偏慢),为安全起见没有上传。",
        "The centre's certificate is not valid yet (most likely this clock is behind).",
        "请校准本机时钟。",
        "Set this computer's clock.",
    ),
    "centre-certificate-name": Words(
        503,
        "证书不是县中心的(名称不符),为安全起见没有上传。",
        "The certificate is somebody else's; nothing was sent.",
        "请核对中心地址,并通知县里管理员:可能有人冒充。",
        "Check the address and tell the administrator: somebody may pose as the centre.",
    ),
    "centre-certificate-unknown": Words(
        503,
        "证书不是可信机构签发,为安全起见没有上传。",
        "The certificate is not by an authority that this station trusts; nothing was sent.",
        "请通知县里管理员:可能有人冒充县中心,或需在本站更新证书。",
        "Tell the administrator: somebody may pose as the centre, or the CA has changed.",
    ),
    "not-https": Words(
        422,
        "中心地址必须以 https:// 开头且不带路径:{url}",
        "The centre's address must be https:// without a path: {url}",
        "请向县里管理员核对地址。",
        "Check it with the administrator.",
    ),
    "no-ca": Words(
        422,
        "证书文件读不了:{file}",
        "The CA file cannot be read: {file}",
        "请重新拷贝县里下发的证书文件(PEM 格式)。",
        "Copy the CA file (PEM) that the county gave out anew.",
    ),
    "moved": Words(
        409,
        "本单位已迁出,原目录不再使用:{home}",
        "This office was moved; its old home is not used any more: {home}",
        "请到县服务器上办理;原目录请妥善保管。",
        "Use the county's server; keep the old home safe.",
    ),
    "spool-full": Words(
        507,
        "本站暂存区已满,已暂停采集;记录仪里的录像没有动。",
        "The spool is full; intake has stopped, the recorders keep their files.",
        "请恢复网络让录像上传;不能恢复的,请扩大暂存区或联系管理员,切勿清除记录仪。",
        "Restore the network, or give the spool more room; clear no recorder.",
    ),
    "delivery-refused": Words(
        422,
        "县中心拒收这份录像({problem});录像仍在本站,没有清除。",
        "The centre refuses this recording ({problem}); it is still at the station.",
        "请通知县里管理员;其他录像照常上传。",
        "Tell the administrator; everything else is delivered as usual.",
    ),
    "hand-in-name": Words(
        422,
        "文件名不能使用:为空、过长、带路径或临时文件后缀,或是系统文件。",
        "The file's name cannot be used: empty, too long, with a path, or of a temporary file.",
        "请改名后重新选择该文件。",
        "Rename the file and choose it again.",
    ),
    "hand-in-size": Words(
        413,
        "文件为空,或超过可递交的大小({limit_gb} GB)。",
        "The file is empty, or larger than may be handed in ({limit_gb} GB).",
        "大文件请把记录仪放入采集站采集;需要调整上限请联系管理员(hand_in_gb)。",
        "Dock the recorder at a station; the administrator can raise hand_in_gb.",
    ),
    "hand-in-many": Words(
        409,
        "您已有 {limit} 份文件正在递交或等待入库。",
        "You have {limit} files on their way already.",
        "请先完成或放弃未传完的文件,等待入库后再递交。",
        "Finish or give up those that are not whole, and wait until the others are taken in.",
    ),
    "hand-in-digest": Words(
        409,
        "收到的内容与所选文件的校验值不一致,没有采用。",
        "What arrived is not what was announced; it was not taken.",
        "上传期间文件可能被改动,请重新选择该文件再传。",
        "The file may have changed meanwhile: choose it again.",
    ),
    "tus-version": Words(
        412,
        "上传协议版本不符,本服务使用 tus {wanted}。",
        "Another upload protocol version; this service speaks tus {wanted}.",
        "请升级采集站软件。",
        "Update the station's software.",
    ),
    "media-type": Words(
        415,
        "内容类型不对,应为 {wanted}。",
        "Wrong content type; {wanted} is wanted.",
        "请升级采集站软件。",
        "Update the station's software.",
    ),
    "internal": Words(
        500,
        "服务内部出错,本次操作没有完成。",
        "The service failed; nothing was done.",
        "请稍后重试;仍不行请把时间和操作告诉管理员。",
        "Try again later, or tell the administrator when and what.",
    ),
    "unauthenticated": Words(
        401,
        "请先登录。",
        "Please log in.",
        "登录后再试;会话过期请重新登录。",
        "Log in, again if your session has ended.",
    ),
    "bad-login": Words(
        401,
        "用户名或密码不对。",
        "User name or password is wrong.",
        "请核对后重试;忘记密码请找管理员重设。",
        "Check both; the administrator can set a new password.",
    ),
    "too-many-logins": Words(
        429,
        "登录失败次数过多,请等 {wait_s} 秒。",
        "Too many failed logins; wait {wait_s} s.",
        "稍后再试;不是您本人操作的,请通知管理员。",
        "Try later; if it was not you, tell the administrator.",
    ),
    "logins-busy": Words(
        429,
        "同时登录的人太多,这一次没有核对密码。",
        "Too many log in at this moment; the password was not checked.",
        "请等 {wait_s} 秒再登录;一直如此的,请通知管理员。",
        "Log in again in {wait_s} s; if it stays so, tell the administrator.",
    ),
    "forbidden": Words(
        403,
        "您没有进行这项操作的权限,本次尝试已记入监管链日志。",
        "You may not do this; the attempt has been logged.",
        "确有需要的,请由有权限的人员办理或向管理员申请。",
        "Ask somebody who may, or the administrator.",
    ),
    "cross-site": Words(
        403,
        "请求来自别的网站,已拒绝。",
        "The request came from another site and was refused.",
        "请从本系统页面重新操作。",
        "Use this service's own pages.",
    ),
    "invalid": Words(
        422,
        "填写的内容不符合要求:{problem}",
        "The input is not valid: {problem}",
        "请改正后重新提交。",
        "Correct it and send it again.",
    ),
    "cursor": Words(
        422,
        "翻页位置无法识别",
        "The place in the list is not known",
        "请从第一页重新打开。",
        "Open the list anew from its first page.",
    ),
    "not-found": Words(
        404,
        "没有找到,或者您无权查看。",
        "Not found, or not yours to see.",
        "请核对编号。",
        "Check the id.",
    ),
    "conflict": Words(
        409,
        "当前状态下不能这样操作。",
        "That does not fit the present state.",
        "请刷新页面,按当前状态重新办理。",
        "Reload and act on the present state.",
    ),
    "rows-differ": Words(
        409,
        "数据库记录与监管链日志不一致,已拒绝办理:{rows}(共 {count} 处)。",
        "Rows are not what the custody log says, so this is refused: {rows} ({count} in all).",
        "有人绕过本系统改动了数据库。请保护现场,通知管理员和审核人员,运行 liuhen verify --all 核查;"
        "记录恢复为日志所载并经全面核验之后,再重新办理。",
        "Somebody changed the database past this system. Tell administrator and reviewer, run"
        " liuhen verify --all; retry when the rows are what was logged, and all is verified.",
    ),
    "gate": Words(
        409,
        "按规定现在不能结束:有 {blocking} 项必须满足的要求没有满足。",
        "This cannot be closed: {blocking} blocking requirement(s) are unmet.",
        "请按检查结论逐项补正。",
        "Mend what each finding names.",
    ),
    "move": Words(
        409,
        "案件现在不能转到这个环节。",
        "The case cannot go to that stage now.",
        "请按办案环节顺序办理,并先办结本环节的执法活动。",
        "Follow the order of stages; close this stage's actions first.",
    ),
    "no-such-method": Words(
        405,
        "不支持这种请求方式。",
        "This method is not supported here.",
        "请查阅接口说明。",
        "See the OpenAPI description.",
    ),
    "station-busy": Words(
        409,
        "本机的采集站正在运行。",
        "This machine's station is running already.",
        "请把文件放入上传目录由它采集,或先停止 liuhen serve / station。",
        "Put the files into a landing folder, or stop liuhen serve / station first.",
    ),
    "bundle": Words(
        422,
        "证据包无法打开:{problem}",
        "The bundle cannot be opened: {problem}",
        "请核对文件是否完整,重新取得证据包。",
        "Check that the file is whole; get the bundle again.",
    ),
    "range": Words(
        416,
        "请求的字节范围不在文件之内。",
        "The requested byte range is outside the recording.",
        "请刷新播放器重试。",
        "Reload the player.",
    ),
    "fixity": Words(
        500,
        "存储的内容与封存时不一致({part}),已停止读取。",
        "The stored bytes are not what was sealed ({part}); reading stopped.",
        "请立即通知管理员和审核人员,不要删除任何文件,运行 liuhen verify --all。",
        "Tell administrator and reviewer at once, delete nothing, run liuhen verify --all.",
    ),
    "vault": Words(
        503,
        "对象存储没有完成操作。",
        "The object store did not do what was asked.",
        "请检查存储磁盘,稍后自动重试。",
        "Check the storage disk; it is tried again.",
    ),
    "object-conflict": Words(
        500,
        "同名对象已存在且内容不同,拒绝覆盖。",
        "An object of this name holds other bytes; nothing was overwritten.",
        "请立即通知管理员,运行 liuhen verify --all。",
        "Tell the administrator, run liuhen verify --all.",
    ),
    "object-missing": Words(
        500,
        "存储中缺少对象 {key}。",
        "The object {key} is missing.",
        "请立即通知管理员,运行 liuhen verify --all。",
        "Tell the administrator, run liuhen verify --all.",
    ),
    "retained": Words(
        409,
        "仍在保管期限内,不能删除。",
        "It is still under retention and cannot be deleted.",
        "到期后按处置程序办理。",
        "Wait until retention ends, then follow disposition.",
    ),
    "lock-lost": Words(
        500,
        "对象的保管锁记录丢失或者损坏:{key}。在补锁之前不能删除。",
        "What was written of an object's lock is lost or damaged: {key}. It cannot be deleted.",
        "请在“后台作业”页运行“保管锁核对”补锁,并查明存储里是谁删改了 .lock 目录。",
        "Run the job “lock”, which locks it anew, and find out who touched the .lock folders.",
    ),
    "storage-full": Words(
        507,
        "磁盘空间不足,已暂停采集,记录仪内的文件没有清除。",
        "The disk is full; intake is paused and no recorder was cleared.",
        "请清理或扩充磁盘,采集会自动继续。",
        "Free or add space; intake goes on by itself.",
    ),
    "store-unavailable": Words(
        503,
        "对象存储暂时不可用({problem}),没有确认任何内容已经存好。",
        "The object store is not available ({problem}); nothing was taken for stored.",
        "系统会自动重试;持续出现请检查存储服务器和网络。",
        "It is tried again; if it lasts, check the storage server and the network.",
    ),
    "store-setup": Words(
        503,
        "对象存储的设置不能保管证据(存储桶 {bucket}:{problem})。",
        "The object store as set up cannot keep evidence (bucket {bucket}: {problem}).",
        "请存储管理员处理:{mend}",
        "The storage administrator mends it: {mend}",
    ),
    "store-replaced": Words(
        503,
        "对象存储已不是本单位的存储({store}:应为 {known},实为 {found}),没有收入任何内容。",
        "The object store is not this office's ({store} is {found}, not {known}); it took nothing.",
        "请核对 LIUHEN_OBJECTS_URL、磁盘挂载和存储桶,换回原来的存储;记录仪内的文件没有清除。",
        "Check LIUHEN_OBJECTS_URL, mounts and bucket, and bring it back; no recorder was cleared.",
    ),
    "store-refused": Words(
        503,
        "对象存储拒绝了本系统的密钥,或者没有给它这项权限({refusal})。",
        "The object store refuses our key, or this act to it ({refusal}).",
        "请管理员核对访问密钥和存储桶权限。",
        "The administrator checks the access key and the bucket's policy.",
    ),
    "store-clock": Words(
        503,
        "本机与存储服务器的时钟相差过大,存储服务器拒绝了请求。",
        "This machine's clock and the storage server's are too far apart.",
        "请先核对两台机器的时间(NTP),再重试。",
        "Correct the time on both machines (NTP), then try again.",
    ),
    "key": Words(
        503,
        "密钥不可用:{problem}",
        "A key is not available: {problem}",
        "请检查密钥目录;首次使用请运行 liuhen keys init。",
        "Check the key folder; at first use run liuhen keys init.",
    ),
    "envelope": Words(
        500,
        "密钥信封无法打开:{problem}",
        "The envelope does not open: {problem}",
        "请立即通知管理员;可用离线恢复密钥打开。",
        "Tell the administrator; the offline recovery key may open it.",
    ),
    "signature": Words(
        500,
        "签名验证不通过,已拒绝。",
        "A signature does not verify; refused.",
        "请立即通知管理员和审核人员。",
        "Tell administrator and reviewer at once.",
    ),
    "custody": Words(
        500,
        "监管链日志不一致:{problem}",
        "The custody log contradicts itself: {problem}",
        "请立即停止使用并通知审核人员,不要恢复旧备份。",
        "Stop, tell the reviewer, and restore no old copy.",
    ),
    "log-rolled-back": Words(
        500,
        "县中心的监管链日志倒退了:本站见过 {seen_size} 条的日志头,现在只有 {shown_size} 条。"
        "已停止上传,记录仪内的录像一律没有清除。",
        "The centre's log was rolled back: a head of {seen_size} entries was seen here, now there "
        "are {shown_size}. Nothing more is delivered, and nothing was cleared.",
        "请立即报告县里审核人员(可能恢复过旧备份);查明后在本站运行 liuhen station accept-log。",
        "Tell the county's reviewer now (an old copy may have been put back); once that is cleared "
        "up: liuhen station accept-log.",
    ),
    "log-forked": Words(
        500,
        "县中心的监管链日志被改写或者分叉:不能证明它接续本站见过的日志头({seen_size} 条)。"
        "已停止上传,记录仪内的录像一律没有清除。",
        "The centre's log was rewritten or forked: it does not continue the head of {seen_size} "
        "entries that was seen here. Nothing more is delivered, and nothing was cleared.",
        "请立即报告县里审核人员,保留本站不动;查明后在本站运行 liuhen station accept-log。",
        "Tell the county's reviewer now and leave this station as it is; once that is cleared up: "
        "liuhen station accept-log.",
    ),
    "log-unproven": Words(
        500,
        "县中心以前能证明日志前后一致,现在不再提供证明。已停止上传,录像一律没有清除。",
        "The centre proved before that its log goes on, and does so no more. Nothing more is "
        "delivered, and nothing was cleared.",
        "请报告县里管理员核对中心的软件版本;查明后在本站运行 liuhen station accept-log。",
        "Have the administrator look at the centre's edition; once that is cleared up: "
        "liuhen station accept-log.",
    ),
    "catalogue-busy": Words(
        503,
        "数据库正忙,本次操作没有完成。",
        "The database is busy; nothing was done.",
        "请稍后重试。",
        "Try again shortly.",
    ),
    "catalogue-unavailable": Words(
        503,
        "数据库暂时无法读写,本次操作是否完成尚不确定。",
        "The database cannot be read or written; this may be done or not: {problem}",
        "请稍候再试;几分钟后仍未恢复的,请告知系统管理员检查数据库和磁盘。"
        "恢复后先查看结果再重新操作;记录仪内的文件没有清除。",
        "Try again shortly; if it lasts, the administrator checks database and disk. Look before"
        " doing anything anew; no recorder was cleared.",
    ),
    "catalogue-replaced": Words(
        503,
        "正在使用的数据库文件({database})已被移走、删除或替换:{file};没有写入任何内容。",
        "The database file in use ({database}) was moved, removed or replaced: {file}; nothing"
        " was written.",
        "请勿清除记录仪。先从 /proc/{pid}/fd 复制仍打开的数据库和 -wal,"
        "再停止服务、放回文件、重新启动;步骤见 docs/OPERATIONS.md。",
        "Clear no recorder. Copy the file and its -wal, still open, from /proc/{pid}/fd; then stop"
        " the service, put them back, start again: see docs/OPERATIONS.md.",
    ),
    "no-office": Words(
        404,
        "目录 {home} 里没有单位,什么也没有新建。",
        "There is no office in {home}; nothing was made.",
        "请用 LIUHEN_HOME=… 指明本单位的目录;确要新建单位的,请运行 liuhen keys init。",
        "Name the office's folder by LIUHEN_HOME=…; to found a new one, run liuhen keys init.",
    ),
    "founding-unasked": Words(
        422,
        "建立单位前须给出 {settings},什么也没有新建。",
        "Before an office is founded, {settings} must be given; nothing was made.",
        "请设置 LIUHEN_COUNTY(县、区)、LIUHEN_TOWNSHIP(乡镇)、LIUHEN_LOG_ORIGIN(监管链日志的名称,"
        "本单位独有,如 sfj.qinglong.example/custody),或写进 liuhen.toml,或用 --county --township"
        " --origin;在终端运行时会逐项询问。",
        "Set LIUHEN_COUNTY, LIUHEN_TOWNSHIP and LIUHEN_LOG_ORIGIN (a public name of the custody log"
        " that is the office's alone, such as sfj.qinglong.example/custody), or in liuhen.toml,"
        " or by --county --township --origin; at a terminal you are asked.",
    ),
    "founding-unfinished": Words(
        409,
        "目录 {home} 里的单位没有建完:有密钥,日志还没有开始。",
        "The founding of the office in {home} was cut short: keys are there, no log yet.",
        "请再次运行 liuhen keys init(县里:liuhen found),接着建完。",
        "Run liuhen keys init again (a county: liuhen found); it goes on where it stopped.",
    ),
    "office-exists": Words(
        409,
        "目录 {home} 里已有单位和密钥,什么也没有改动。",
        "There is an office with its keys in {home}; nothing was changed.",
        "无需再建;另建单位请用 LIUHEN_HOME=… 指明新目录。",
        "Nothing to do; for another office name a new folder by LIUHEN_HOME=….",
    ),
    "station-home": Words(
        409,
        "目录 {home} 属于已登记的采集站,不是单位。",
        "{home} is the home of an enrolled station, not of an office.",
        "请在县中心执行这条命令,或用 LIUHEN_HOME=… 指明单位的目录。",
        "Run this at the centre, or name the office's folder by LIUHEN_HOME=….",
    ),
    "office-parts": Words(
        409,
        "目录 {home} 里的单位不完整,没有新建任何内容。有:{there_zh};缺:{missing_zh}。",
        "The office in {home} is not whole, and nothing was made. There: {there_en};"
        " missing: {missing_en}.",
        "请从备份放回缺少的部分,或接好它所在的磁盘;切勿另建单位。步骤见 docs/OPERATIONS.md。",
        "Put the missing part back from a backup, or mount its disk; never found anew."
        " See docs/OPERATIONS.md.",
    ),
    "office-record-lost": Words(
        409,
        "{file} 不见了:本单位建在{known},不能按旧默认值{default}办理。",
        "{file} is gone: the office was founded in {known}, and is not taken for one in {default}.",
        "请从备份放回该文件;没有备份的,把本单位的 county(县、区)和 township(乡镇)"
        "写进 liuhen.toml。",
        "Put the file back from a backup; without one, say the office's county and township in"
        " liuhen.toml.",
    ),
    "catalogue-setup": Words(
        503,
        "数据库的设置不能保证证据不丢失:{problem}",
        "The database as it is set up would not keep evidence: {problem}",
        "请数据库管理员处理后重新启动:{mend}",
        "Let the database's administrator mend it, then start again: {mend}",
    ),
    "text": Words(
        422,
        "文字过长或含有不能保存的字符,没有写入:{problem}",
        "A text is too long or cannot be kept, nothing was written: {problem}",
        "请缩短文字或去掉特殊字符后重试。",
        "Shorten it or leave out special characters, then try again.",
    ),
    "catalogue-newer": Words(
        503,
        "数据库属于更新的版本(表结构 {revision},本程序只认识到 {known}),没有打开。",
        "The database is of a newer version (tables {revision}; this program knows up to {known})"
        " and was not opened.",
        "请安装曾打开过它的版本或更新的版本;切勿改动数据库。程序版本见 liuhen --version。",
        "Install the version that opened it, or a newer one, and leave the database as it is."
        " liuhen --version says which this is.",
    ),
    "setting-value": Words(
        422,
        "{file} 第 {line} 行:{key} 的值 {value} 不能使用;可用:{allowed_zh}。({problem})",
        "{file} line {line}: {key} cannot be {value}; allowed: {allowed_en}. ({problem})",
        "请改正后重新运行;各项说明见 docs/SETTINGS.md。",
        "Correct it and run this again; docs/SETTINGS.md describes every setting.",
    ),
    "variable-value": Words(
        422,
        "环境变量 {variable}:{key} 的值 {value} 不能使用;可用:{allowed_zh}。({problem})",
        "The variable {variable}: {key} cannot be {value}; allowed: {allowed_en}. ({problem})",
        "请改正后重新运行;各项说明见 docs/SETTINGS.md。",
        "Correct it and run this again; docs/SETTINGS.md describes every setting.",
    ),
    "setting-unknown": Words(
        422,
        "{file} 第 {line} 行:没有名为 {key} 的设置{near_zh}。",
        "{file} line {line}: there is no setting {key}{near_en}",
        "请改正或删除这一行;写错的设置从不被忽略。各项见 docs/SETTINGS.md。",
        "Correct or remove it; a misspelt setting is never passed over. See docs/SETTINGS.md.",
    ),
    "variable-unknown": Words(
        422,
        "没有名为 {variable} 的设置{near_zh}。",
        "There is no setting {variable}{near_en}",
        "请改正或取消这个环境变量;写错的设置从不被忽略。各项见 docs/SETTINGS.md。",
        "Correct or unset it; a misspelt setting is never passed over. See docs/SETTINGS.md.",
    ),
    "settings-syntax": Words(
        422,
        "{file} 第 {line} 行不是有效的 TOML:{problem}",
        "{file} line {line} is not valid TOML: {problem}",
        "请改正这一行后重新运行;文字须加引号,文件须为 UTF-8。",
        "Correct the line and run this again; texts stand in quotes, the file is UTF-8.",
    ),
    "port-busy": Words(
        409,
        "无法监听 {host}:{port}:{problem}。",
        "Cannot listen on {host} port {port}: {problem}.",
        "请停止占用该端口的程序,或换一个端口(--port,或设置 port)。",
        "Stop the program that has this port, or take another (--port, or the setting port).",
    ),
    "tool-missing": Words(
        503,
        "本机没有 {tool},什么也没有改动。",
        "{tool} is not installed on this machine; nothing was changed.",
        "请安装(Debian:apt-get install {package}),再运行 liuhen doctor 核对。",
        "Install it (Debian: apt-get install {package}); liuhen doctor then looks again.",
    ),
    "file-denied": Words(
        503,
        "没有权限:{file}({problem})。",
        "Permission denied: {file} ({problem}).",
        "请以拥有 LIUHEN_HOME 的用户运行,或让管理员改正权限。",
        "Run this as the user who owns LIUHEN_HOME, or have the permissions corrected.",
    ),
    "file-read-only": Words(
        503,
        "所在磁盘只读:{file}({problem})。",
        "The disk is read-only: {file} ({problem}).",
        "请检查磁盘是否故障或以只读方式挂载,处理后再运行。",
        "See whether the disk is failing or mounted read-only, then run this again.",
    ),
    "file-full": Words(
        503,
        "磁盘已满:{file}({problem})。",
        "The disk is full: {file} ({problem}).",
        "请清理或扩容后再运行。",
        "Make room, then run this again.",
    ),
    "file-refused": Words(
        503,
        "文件无法使用:{file}({problem})。",
        "A file cannot be used: {file} ({problem}).",
        "请核对路径和设置(liuhen config show)后再运行。",
        "Check the path and the settings (liuhen config show), then run this again.",
    ),
    "register": Words(
        422,
        "人员名册有误,没有写入:{problem}",
        "The register is wrong and nothing was written: {problem}",
        "请按行号改正后重新导入;可先用 --dry-run 试运行。",
        "Correct the lines and import again; --dry-run shows what would change.",
    ),
    "rulebook": Words(
        500,
        "规则库有误:{file} 第 {line} 行:{problem}",
        "The rulebook is wrong: {file} line {line}: {problem}",
        "请改正规则文件后重新启动。",
        "Correct the file and start again.",
    ),
    "origin-changed": Words(
        503,
        "监管链日志正在改用(或已改用)名称 {origin},本进程仍用旧名称 {found},不再签名。",
        "The log goes on under {origin}; this process knows {found} and signs nothing.",
        "请重新启动服务;更名中断的,请再次运行 liuhen log rename-origin。",
        "Start the service again; if the change was cut short: liuhen log rename-origin.",
    ),
    "origin-name": Words(
        422,
        "“{origin}”不能作为监管链日志的名称。",
        "{origin} cannot name a custody log.",
        "请用本单位独有的名称,如 sfj.xinglong.example/custody(字母、数字和 . - _ ~ /,不含 https://);"
        "liuhen.invalid/custody 是旧的共用名称,不能再用。",
        "Give one that is yours alone, such as sfj.xinglong.example/custody (letters, digits,"
        " . - _ ~ /, without https://); liuhen.invalid/custody was everybody's.",
    ),
    "origin-used": Words(
        409,
        "监管链日志现在或者曾经使用名称 {origin},没有改动。",
        "The log bears, or bore, the origin {origin}; nothing was changed.",
        "请换一个从未用过的名称。",
        "Give an origin that it never had.",
    ),
    "origin-begun": Words(
        409,
        "改用名称 {origin} 的操作没有做完。",
        "The change to the origin {origin} was begun and is not finished.",
        "请先运行 liuhen log rename-origin {origin},做完这一次更名。",
        "Finish that first: liuhen log rename-origin {origin}",
    ),
    "area-name": Words(
        422,
        "“{name}”不能作为县(区)或者乡镇的名称。",
        "{name} is no name of a county or a township.",
        "请用 2 到 40 个汉字、字母或数字,如 青龙满族自治县;不能含 / 等符号,也不能是 all。",
        "Give 2 to 40 letters or digits; no signs such as /, and not `all`.",
    ),
    "edition-exists": Words(
        409,
        "文件 {file} 已经存在,没有改动。",
        "The file {file} exists already and was left as it is.",
        "请直接修改该文件,或用 --out 指明另一个目录或文件。",
        "Edit that file, or name another folder or file by --out.",
    ),
    "submission": Words(
        422,
        "这个文件现在不能采集。",
        "This file cannot be taken now.",
        "文件仍在记录仪内,没有清除;请看原因处理后重新接入。",
        "It is still on its source; mend the cause and dock again.",
    ),
    "camera": Words(
        503,
        "摄像机现在不能录像({reason})。",
        "The camera cannot be recorded now ({reason}).",
        "系统会自动重试;请运行 liuhen cameras check 查看原因。",
        "It is tried again; liuhen cameras check says more.",
    ),
    "profile": Words(
        500,
        "记录仪型号配置有误:{file}",
        "A source profile is wrong: {file}",
        "请改正后重新启动。",
        "Correct it and start again.",
    ),
}

# A part of an office; `{head}` and `{entries}` are sizes of its log.
PARTS: dict[str, tuple[str, str]] = {
    "keys": ("密钥(keys/)", "keys (keys/)"),
    "head": (
        "已签署的日志头(log-signer/head,{head} 条)",
        "a signed head of {head} entries (log-signer/head)",
    ),
    "log": ("已公布的日志(log/)", "a published log (log/)"),
    "catalogue": ("数据库(日志 {entries} 条)", "the catalogue ({entries} entries)"),
    "objects": ("存储中的录像", "recordings in the object store"),
}
MISSING: dict[str, tuple[str, str]] = {
    "keys": ("密钥(keys/)", "keys (keys/)"),
    "head": ("已签署的日志头(log-signer/head)", "the signed head (log-signer/head)"),
    "catalogue": ("数据库(没有或是空的)", "the catalogue (absent or empty)"),
}

# Why a file was not taken, or cannot be played, or waits: what happened; what to do.
REASONS: dict[str, tuple[str, str]] = {
    "link": ("符号链接,不采集", "symbolic link, not taken; remove it from the recorder"),
    "not-regular": ("不是普通文件,不采集", "not a regular file, not taken"),
    "too-deep": ("文件夹层级过深,未采集,请检查记录仪", "folders too deep, not taken"),
    "too-many": ("文件数量过多,请分批采集", "too many files; dock in parts"),
    "too-large": (
        "文件超过 128 GiB,无法上传;文件仍在记录仪内,请分段导出后再采集",
        "larger than 128 GiB, still on its source; export it in pieces",
    ),
    "unreadable": ("文件无法打开,请重新接入记录仪", "cannot be opened; dock again"),
    "read-error": (
        "读取出错,文件仍在记录仪内;请重新接入,仍不行请送修并保留存储卡",
        "read error, still on the recorder; dock again, else keep the card for recovery",
    ),
    "changed": ("读取时文件有变化,将自动重试", "changed while being read; it is tried again"),
    "gone": ("文件已不在记录仪上", "no longer on the recorder"),
    "growing": ("文件持续增长,请先停止录像", "keeps growing; stop the recording first"),
    "still-writing": (
        "文件仍在写入,稍后自动采集;名称像未写完的,一小时不变后照样采集",
        "still being written; taken later, and after an hour without a change in any case",
    ),
    "taken-anew": (
        "本单位已不再保管这份录像,将重新采集,没有清除",
        "this office keeps it no more; it is taken anew and was not cleared",
    ),
    "clear-unsure": (
        "已清除,但存储卡没有确认,下次读取时核实",
        "removed, and the medium did not confirm it; the next look finds out",
    ),
    "unsteady": (
        "两次读出的内容不同,存储卡或读卡器有故障,没有清除;请换读卡器后重新接入",
        "two reads differ: card or reader is failing; dock again with another reader",
    ),
    "defect": (
        "程序出错,文件仍在记录仪内,没有清除;请把本机日志交给维护人员",
        "a defect of ours; the file is still on its source; send us this machine's log",
    ),
    "nothing-here": ("没有可采集的文件,请核对路径", "nothing is there to take; check the path"),
    "system-file": ("系统文件,不是证据,留在原处", "a system's own file, no evidence, left there"),
    "preview": ("缩略图或预览件,原件已采集", "a preview of a file that is taken"),
    "spool-damaged": (
        "本站暂存的密文损坏,请尽快重新接入该记录仪,将重新封存",
        "the sealed copy here is damaged; dock the recorder again, it will be sealed anew",
    ),
    "serial-twice": (
        "两个仓位出现同一序列号,请核对记录仪编号",
        "the same serial in two bays; check the recorders",
    ),
    "cannot-clear": ("记录仪只读,无法清除", "the recorder is read-only and was not cleared"),
    "journal-damaged": ("采集站日志缺失,请通知管理员", "the station's journal is incomplete"),
    "camera-away": ("摄像机连接中断,正在重连", "the camera is away; connecting again"),
    "camera-silent": ("摄像机没有数据,正在重连", "the camera is silent; connecting again"),
    "camera-denied": ("摄像机拒绝登录,请核对用户名和密码", "the camera refuses the login"),
    "camera-refused": ("摄像机没有这路码流,请核对地址", "the camera has no such stream"),
    "camera-garbage": ("对方不是摄像机或数据损坏,请核对地址", "what comes is no RTSP"),
    "camera-too-much": (
        "码流超过上限,已停录并重试;请调低码率或调高 camera_most_mbit",
        "more than camera_most_mbit; stopped and tried again",
    ),
    "camera-no-tool": ("录像程序异常退出,正在重试", "ffmpeg ended by itself; tried again"),
    "camera-secret": ("摄像机密码文件无法读取", "the camera's password file cannot be read"),
    "camera-disk": (
        "磁盘剩余空间不足,已停止录像;请清理或扩容,已录内容未删除",
        "the disk is nearly full, recording stopped; nothing was deleted",
    ),
    "empty": ("空文件(0 字节)", "empty file (0 bytes)"),
    "unknown-format": ("无法识别的格式", "unknown format"),
    "no-index": ("录像未正常结束,缺少索引(可另行恢复)", "cut off, index missing (recoverable)"),
    "damaged": ("文件损坏,无法解析", "damaged, cannot be parsed"),
    "no-packets": ("没有任何音视频数据", "no picture or sound data"),
    "tool-timeout": ("解析超时", "parsing took too long"),
    "tool-crashed": ("解析程序异常退出", "the parser crashed"),
    "tool-too-long": ("解析结果过大", "the parser's answer was too long"),
    "tool-answer": ("解析结果无效", "the parser's answer was not valid"),
}

QUESTIONS: dict[str, tuple[str, str]] = {
    "start": ("开始时间未知", "start time unknown"),
    "confirm-start": ("请确认开始时间", "please confirm the start time"),
    "officer": ("执法人员未知", "officer unknown"),
    "serial": ("记录仪编号未知", "recorder unknown"),
}

BAYS: dict[str, str] = {
    "unknown": "状态不明,等待重新读取,请勿取走",
    "empty": "空",
    "mounting": "正在识别设备",
    "scanning": "正在读取",
    "sealing": "正在采集,请勿拔出",
    "waiting": "等待文件写完",
    "delivering": "已封存在本站,正在上传;录像尚未入库,请勿清除",
    "accessioned": "全部入库",
    "cleared": "全部入库,设备已清空",
    "safe": "全部入库,可以取走",
    "attention": "需要处理",
    "recording": "正在录像",
    "camera-off": "未录像",
}

# What the screen at the dock says in large letters, and what to do.
SCREEN: dict[str, tuple[str, str]] = {
    "empty": ("空", "可以放入记录仪"),
    "mounting": ("正在识别", "请勿拔出"),
    "scanning": ("正在读取", "请勿拔出"),
    "sealing": ("正在采集", "请勿拔出"),
    "waiting": ("等待写完", "请确认已停止录像,请勿拔出"),
    "delivering": ("正在上传", "已封存在本站,尚未入库,请勿清除记录仪"),
    "delivering-away": ("等待网络", "已封存在本站,联网后自动上传;尚未入库,请勿清除记录仪"),
    "accessioned": ("全部入库", "请稍候"),
    "cleared": ("已清空", "请稍候"),
    "safe": ("可以取走", "全部入库,可以取走"),
    "attention": ("需要处理", "文件仍在记录仪内,没有清除;请按提示处理"),
    "recording": ("正在录像", ""),
    "camera-off": ("未录像", ""),
    "unknown": ("状态不明", "请勿取走,等待重新读取"),
}

# What is wrong with a station, as far as no error's text says it.
ALARMS: dict[str, str] = {
    "spool-filling": "暂存区已用八成以上,请尽快恢复网络",
    "overdue": "有录像超过 24 小时没有入库",
    "clock": "本机时钟与县中心相差超过 2 分钟,请校准",
    "silent": "超过 10 分钟没有联系县中心,请查看电源和网络",
    "never-seen": "登记后还没有联系过县中心,请查看是否已运行",
    "ending": "登记即将到期,请发新的登记码",
    "unknown": "采集站报告了本系统不认识的告警,请到站查看,并核对两边的软件版本",
}

JOB_STATES: dict[str, str] = {
    "waiting": "等待",
    "running": "进行中",
    "done": "完成",
    "failed": "失败,需处理",
}

# Why a job failed, where the sentence for a caller would mislead: what happened, what to do.
JOB_ERRORS: dict[str, tuple[str, str]] = {
    "not-found": ("作业所指的内容已不在目录中", "请核对编号;不再需要的,无需处理。"),
    "unauthenticated": (
        "提出人已没有有效账号,系统不得代为解封",
        "请由现在有权的人员重新提出。",
    ),
    "forbidden": ("提出人没有这项权限,已拒绝并记入日志", "请由有权的人员重新提出。"),
    "engine": ("作业引擎多次未能执行", "请查看工作进程日志,处理后重试。"),
    "fixity": (
        "存储的内容与封存时不一致,已停止",
        "请立即告知审核人员,不要删除任何文件,并在“核验”页全面核验。",
    ),
}

_NAMED = 5  # ignored files that a bay names on a screen
_JOB_FAULT_NEXT = "请查看工作进程日志,把作业编号告诉维护人员;原因消除后重试。"

STANDINGS: dict[str, str] = {
    "local": "本机",
    "offered": "待登记",
    "lapsed": "登记码已过期",
    "active": "有效",
    "expired": "已到期",
    "revoked": "已撤销",
}


def alarm_zh(alarm: str) -> str:
    """Return what is wrong with a station in Chinese; unknown words are shown as they are."""
    return ALARMS.get(alarm) or reason_zh(alarm)


def alarm_known(alarm: str) -> bool:
    """Tell whether an alarm is one of ours."""
    return alarm in ALARMS or reason_known(alarm)


def job_error_zh(error: str, kind: str) -> str:
    """Return why a job of this kind failed, in Chinese; our own faults by their name."""
    if error in JOB_ERRORS:
        return JOB_ERRORS[error][0]
    if error in TABLE:
        return TABLE[error].zh.format_map(_Facts(kind=kind)).rstrip("。")
    return reason_zh(error) if reason_known(error) else f"程序内部出错({error})"


def job_next_zh(error: str) -> str:
    """Return what to do about it."""
    if error in JOB_ERRORS:
        return JOB_ERRORS[error][1]
    return TABLE[error].next_zh.format_map(_Facts({})) if error in TABLE else _JOB_FAULT_NEXT


def bay_zh(state: str) -> str:
    """Return what a bay's state is called on a screen."""
    return BAYS.get(state, state)


def words(error: LiuhenError | RuleError) -> Words:
    """Return status and sentences of an error, its facts filled in."""
    found = TABLE.get(error.code, TABLE["internal"])
    facts = _Facts(error.facts | _parts(error.facts) | _near(error.facts))
    return Words(
        found.status,
        found.zh.format_map(facts),
        found.en.format_map(facts),
        found.next_zh.format_map(facts),
        found.next_en.format_map(facts),
    )


def _parts(facts: dict[str, Any]) -> dict[str, str]:
    """Return how the parts of an office are called in a sentence, in both languages."""
    return {
        f"{fact}_{language}": comma.join(
            table[part][index].format_map(_Facts(facts)) for part in facts[fact]
        )
        for fact, table in (("there", PARTS), ("missing", MISSING))
        if fact in facts
        for index, (language, comma) in enumerate((("zh", "、"), ("en", ", ")))
    }


def _near(facts: dict[str, Any]) -> dict[str, str]:
    """Return the name that may have been meant, in both languages; nothing where none is near."""
    near = "".join(facts.get("near", ())[:1])
    texts = {"near_zh": f",是否应为 {near}", "near_en": f"; did you mean {near}?"}
    return texts if near else {"near_zh": "", "near_en": "."}


def problem(error: LiuhenError | RuleError, instance: str = "") -> dict[str, Any]:
    """Return the problem+json body (RFC 9457) of an error."""
    told = words(error)
    body: dict[str, Any] = {
        "type": f"urn:liuhen:problem:{error.code}",
        "title": told.en,
        "status": told.status,
        "code": error.code,
        "detail": told.zh,
        "detail_en": told.en,
        "next": told.next_zh,
        "next_en": told.next_en,
    }
    if instance:
        body["instance"] = instance
    if told.status < 500:  # noqa: PLR2004 - the inner workings are not the caller's business
        body["facts"] = error.facts
    return body


def reason_known(reason: str) -> bool:
    """Tell whether a reason is one of ours."""
    return reason in REASONS or reason in TABLE


def reason_zh(reason: str | None, facts: Mapping[str, Any] | None = None) -> str:
    """Return a reason in Chinese, with its facts; unknown words are shown as they are."""
    if not reason:
        return ""
    if reason in REASONS:
        return REASONS[reason][0]
    return TABLE[reason].zh.format_map(_Facts(facts or {})) if reason in TABLE else reason


def reason_en(reason: str | None, facts: Mapping[str, Any] | None = None) -> str:
    """Return a reason in English, with its facts; unknown words are shown as they are."""
    if not reason:
        return ""
    if reason in REASONS:
        return REASONS[reason][1]
    return TABLE[reason].en.format_map(_Facts(facts or {})) if reason in TABLE else reason


def result_zh(result: Result) -> str:
    """Return in Chinese why a file is not taken, or not yet."""
    return reason_zh(result.reason, result.facts) + _room(result.facts, "需要", "剩余")


def result_en(result: Result) -> str:
    """Return in English why a file is not taken, or not yet."""
    return reason_en(result.reason, result.facts) + _room(result.facts, "needed", "free")


def _room(facts: Mapping[str, Any], needed: str, free: str) -> str:
    if not {"needed_mb", "free_mb"} <= facts.keys():
        return ""
    return f" ({needed} {facts['needed_mb']} MB, {free} {facts['free_mb']} MB)"


def bay_reason_zh(reason: str | None, untrusted_facts: Mapping[str, Any]) -> str:
    """Return what a bay says beside its state: why, which file first, how many; what it ignores.

    The facts are the journal's: what is not of the type that it should be is left out.
    """
    facts = untrusted_facts
    parts = [reason_zh(reason, facts) + _room(facts, "需要", "剩余")] if reason else []
    first, count = facts.get("first"), facts.get("files")
    if reason and isinstance(first, str) and isinstance(count, int):
        parts.append(f"{first} 等 {count} 个文件" if count > 1 else first)
    ignored, names = facts.get("ignored"), facts.get("ignored_names")
    if isinstance(ignored, int) and isinstance(names, list) and names:
        listed = "、".join(map(str, names[:_NAMED])) + ("…" if ignored > _NAMED else "")
        parts.append(f"另有 {ignored} 个系统文件或预览件不是证据,留在原处:{listed}")
    return ";".join(parts)


class _Facts(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "…"
