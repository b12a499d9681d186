"""The template of a county's own edition of the rulebook: valid as written, for a person to fill.

It holds one rule of national law that only informs, so that nobody is stopped by what nobody
decided, and examples behind `#`. What each field means is docs/RULEBOOK.md.
"""

import hashlib
import re
from datetime import date

from policies.rules.rules import EVERYWHERE

_SHORTEST, _LONGEST = 2, 40
_NAME = re.compile(r"[^\W_]+(?:[ ·-][^\W_]+)*")


def is_area_name(untrusted_name: str) -> bool:
    """Tell whether this can name a county or a township: letters and digits, 2 to 40 of them.

    Such a name is safe as a file's name. `all` is no county's: its editions hold everywhere.
    """
    fits = _SHORTEST <= len(untrusted_name) <= _LONGEST and _NAME.fullmatch(untrusted_name)
    return bool(fits) and untrusted_name != EVERYWHERE


def edition_template(area: str, since: date) -> str:
    """Return the YAML of a new edition of this area, in force from that day.

    Raises: ValueError for what is no area's name.
    """
    if not is_area_name(area):
        raise ValueError(area)
    # Two areas never share a rule's id.
    prefix = f"c{hashlib.sha256(area.encode()).hexdigest()[:6]}"
    return _TEMPLATE.format(
        area=area, prefix=prefix, month=f"{since:%Y-%m}", since=since.isoformat()
    )


_TEMPLATE = """\
# {area}的行政执法规则(模板)。由县司法局或法制机构填写,填写后运行 liuhen rules check 检查。
# The rules of {area} (template), for its legal officer to fill; then run: liuhen rules check
# 每个字段的含义见 docs/RULEBOOK.md。 What each field means: docs/RULEBOOK.md.
# 以 # 开头的行不起作用;去掉行首的 # 即生效。 Lines behind # do nothing; take the # away.

# 版本名称,每条检查结论都会写明。 The edition's name, shown in every finding.
edition: "{area} {month} 草案"
# 适用的县(区),须与设置 county 一致。 The county; the setting `county` names the same.
area: "{area}"
# 本版规则从哪一天起适用(北京时间)。 The first day on which these rules hold.
effective_from: {since}

# 规则可以引用的文件,以及它有多少条。 Documents that rules may cite, and how many articles each has.
documents:
  行政处罚法: 86
#  {area}行政执法规范化建设实施意见: 24

# 哪些情形属于重大行政执法决定(须法制审核)。 What makes a decision major (legal review comes first).
#major_decisions: [public-interest, social-risk, major-rights, after-hearing, complex]

# id 规则编号:小写字母、数字和 -,开头部分({prefix})为本县专用,定后不再改。
# id: small letters, digits and -; its first part ({prefix}) is this county's alone; never changed.
# severity: blocks 阻断(不满足就不能往下走)、warns 警示、informs 提示。
# severity: blocks (the case stops here), warns, informs.
# confirmed: false 表示还没有人与原文核对,结论会写“条文待核”;核对后删去。
# confirmed: false: nobody compared the quote with the text, and findings say so; then delete it.
rules:
  # 这一条取自国家法律,只提示,不阻断;请按本县文件修改或删除(至少保留一条规则)。
  # From national law; it only informs. Change or delete it, but leave one rule at least.
  - id: {prefix}-01
    title: {{zh: 现场检查音像记录, en: "Inspections are recorded, picture and sound"}}
    basis:
      document: 行政处罚法
      article: 第四十七条
      quote: 对行政处罚的启动、调查取证、审核、决定、送达、执行等进行全过程记录,归档保存。
      confirmed: false
    when: {{action: inspection}}
    severity: informs
    require:
      coverage: {{audio: true, max_gap_s: 1.0}}

# 示例:本县文件要求查封扣押全程录像,缺了就不能办结,负责人可以批准情况说明。
# Example: the county's text wants seizures recorded whole; without it the action cannot be closed.
#  - id: {prefix}-02
#    title: {{zh: 查封扣押全程音像记录, en: "Seizures are recorded whole, picture and sound"}}
#    basis:
#      document: {area}行政执法规范化建设实施意见
#      article: 第八条
#      quote: 请抄录本县文件的原文。
#    when: {{action: seizure}}
#    severity: blocks
#    waivable_by: head
#    waivable_for: [equipment, battery-storage, force-majeure]
#    until: {{days: 3}}
#    require:
#      coverage: {{audio: true, max_gap_s: 1.0}}

# 示例:至少两名持证执法人员。 Example: two certified officers at least.
#  - id: {prefix}-03
#    title: {{zh: 执法人员不少于两人, en: Two certified officers at least}}
#    basis:
#      document: {area}行政执法规范化建设实施意见
#      article: 第三条
#      quote: 请抄录本县文件的原文。
#    when: {{action: [seizure, demolition]}}
#    severity: warns
#    require:
#      officers: {{certified: 2}}
"""
