// Words for acts, outcomes and subjects, as the console has them; what is not here is shown as it is.

const ACTS = {
    'account.add': '开设账号', 'account.disabled': '停用账号', 'account.password': '更改密码',
    'action.add': '登记执法活动', 'action.close': '办结执法活动', 'action.end': '结束执法活动',
    'bundle.export': '导出证据包', 'bundle.heads': '导出证据包(链头)', 'case.chain': '接续旧日志',
    'case.decide': '作出决定', 'case.disclose': '告知', 'case.features': '登记案件特征', 'case.move': '案件转入下一阶段',
    'case.open': '立案登记', 'case.part': '登记当事人', 'case.review': '法制审核',
    'certificate.add': '登记执法证', 'certificate.change': '更改执法证', 'certificate.end': '注销执法证',
    'check.draw': '抽查', 'check.enter': '登记抽查结果', 'class.give': '登记录像类别', 'clock.read': '校时读数',
    'disposition.approve': '批准销毁', 'disposition.done': '销毁完成', 'disposition.propose': '提请销毁',
    'disposition.stop': '中止销毁', 'disposition.withdraw': '撤回销毁',
    'document.enter': '登记文书', 'document.serve': '送达文书', 'doubt.confirm': '确认疑点', 'doubt.dismiss': '排除疑点',
    'exhibit.confirm': '确认关联录像', 'exhibit.link': '关联录像', 'exhibit.propose': '提请关联录像',
    'exhibit.reject': '不予关联录像', 'exhibit.self-link': '自行关联录像', 'hold.place': '冻结保存', 'hold.release': '解除冻结',
    'key.add': '登记公钥', 'log.begin-chains': '日志开始成链', 'log.change-origin': '日志更名', 'log.clock': '时钟更正',
    'moment.mark': '标记时点', 'moment.unmark': '取消时点', 'person.add': '登记人员', 'person.change': '更改人员',
    'proceeding.answer': '救济程序答复', 'proceeding.excuse': '救济程序说明', 'proceeding.register': '登记救济程序',
    'reclassification.approve': '批准改类', 'reclassification.decide': '决定改类',
    'reclassification.propose': '提请改类', 'reclassification.refuse': '不同意改类',
    'recording.access': '调取原件', 'recording.accession': '入库', 'recording.answer': '补答录像时间',
    'recording.archive': '归档', 'recording.clock': '校正录像时间', 'recording.copy': '复制录像',
    'recording.destroy': '销毁录像', 'recording.destroy-begin': '开始销毁录像', 'recording.destroyed': '录像已销毁',
    'recording.inspect': '复查录像', 'recording.keep': '留存录像', 'recording.lock': '锁定录像', 'recording.play': '播放录像',
    'recording.propose-disposition': '提请处置录像', 'recording.recall': '调回录像', 'recording.receipt': '出具入库回执',
    'recording.rendition': '制作副本', 'recording.retain': '延长保存', 'recording.verify': '核验录像',
    'rulebook.load': '装载规则库', 'source.add': '登记记录仪', 'source.assign': '配发记录仪', 'source.clear': '清空记录仪',
    'station.add': '登记采集站', 'station.enrol': '采集站注册', 'station.revoke': '吊销采集站', 'training.add': '登记培训',
    'submission.hand-in': '移交材料', 'waiver.hand-in': '提交说明', 'waiver.settle': '审定说明',
};
const KINDS = {
    account: '账号', action: '执法活动', case: '案件', disposition: '处置', hold: '冻结', key: '公钥', person: '人员',
    proceeding: '救济程序', recording: '录像', rulebook: '规则库', source: '记录仪', station: '采集站', system: '系统',
};
const OUTCOMES = { success: '完成', refused: '被拒绝', failure: '失败' };
const USES = { centre: '中心', log: '日志', station: '采集站', vault: '保管(封存)', recovery: '恢复(封存)' };

const lookUp = (words, name) => (Object.hasOwn(words, name) ? words[name] : name);

export const actName = (act) => lookUp(ACTS, act);
export const kindName = (kind) => lookUp(KINDS, kind);
export const outcomeName = (outcome) => lookUp(OUTCOMES, outcome);
export const useName = (use) => lookUp(USES, use);

export const VERDICTS = {
    verified: {
        mark: '✓', zh: '核验通过(第一级、第二级)', en: 'VERIFIED (levels 1 and 2)',
        meaning: '证据包里的每个文件都与中心签名的清单一致,录像是采集站封存时的原样,监管链完整;签名所用的公钥是您指定的。',
        meaningEn: 'Every check holds, under keys that you named.',
    },
    'self-consistent': {
        mark: '?', zh: '自洽,公钥未知', en: 'SELF-CONSISTENT, KEYS UNKNOWN',
        meaning: '各项检查都成立,但还不知道签名的公钥是不是该单位的:伪造整个证据包的人也能做到这一步。请填写《公钥公告》上的中心指纹和日志指纹。',
        meaningEn: 'Every check holds, under keys that anybody may have made. Enter the key letter\'s fingerprints.',
    },
    'not-verified': {
        mark: '✗', zh: '核验未通过', en: 'NOT VERIFIED',
        meaning: '下面标 ✗ 的检查不成立。请不要采信这个证据包,并向出具单位查问原因;不要自行修改文件。',
        meaningEn: 'A check fails. Do not rely on this bundle; ask the office that made it.',
    },
};
