"""What refusals in OpenAI's shape mean, as data; vendors with numbers or codes of their own have their own tables.

Source: docs/providers/openai.md. `{V}` becomes the beginning of the vendor's variables, as in `{V}_API_KEY`.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.errors import ContentBlocked, VendorOverloaded, VendorRefused
from services.providers import advice
from services.providers.advice import Advice

ROWS: Mapping[str, Advice] = {
    "blocked": Advice(
        ContentBlocked,
        "The vendor's safety review refused the text; nothing is wrong with this server.",
        "服务商的内容安全审核拒绝了这段文字；服务器本身没有问题。",
        advice.BLOCKED,
    ),
    "key": Advice(
        VendorRefused,
        "The vendor does not accept {V}_API_KEY: copy it again from its console, and check that {V}_BASE_URL is the"
        " address of the same vendor and region.",
        "服务商不接受 {V}_API_KEY：请从其控制台重新复制，并确认 {V}_BASE_URL 属于同一服务商与地域。",
        advice.KEY,
    ),
    "access": Advice(
        VendorRefused,
        "The vendor does not let this key use the model: open the model in its console, or choose another one.",
        "该密钥无权使用这个模型：请在服务商控制台开通，或换一个模型。",
        advice.KEY,
    ),
    "account": Advice(
        VendorRefused,
        "The account with the vendor is used up: top it up, or raise its spending limit.",
        "服务商账户余额或额度已用完：请充值，或提高限额。",
        advice.ACCOUNT,
    ),
    "model": Advice(
        VendorRefused,
        "The vendor serves no such model at this address: check the model's name and {V}_BASE_URL.",
        "该地址没有这个模型：请检查模型名称与 {V}_BASE_URL。",
        advice.MODEL,
    ),
    "long": Advice(
        VendorRefused,
        "The conversation is longer than the model reads: lower MAX_HISTORY, or choose a model that reads more.",
        "对话超过了模型的上下文长度：请调小 MAX_HISTORY，或换用上下文更长的模型。",
        advice.LONG,
    ),
    "request": Advice(
        VendorRefused,
        "The vendor does not accept the request, often a value the model does not have: look at the log for its name.",
        "服务商不接受该请求，多半是模型不支持某个参数：请在日志中查看名称。",
        advice.REQUEST,
    ),
    "limit": Advice(
        VendorOverloaded,
        "The vendor's limit of requests or tokens is reached: wait, ask for a higher one, or add a stand-in to"
        " MODEL_CHAINS.",
        "已达到服务商的请求数或 token 数上限：请稍候、申请提高配额，或在 MODEL_CHAINS 中加一个备用模型。",
        advice.BUSY,
    ),
    "busy": Advice(
        VendorOverloaded,
        "The vendor is overloaded or broken: wait, or add a stand-in to MODEL_CHAINS.",
        "服务商繁忙或出错：请稍候，或在 MODEL_CHAINS 中加一个备用模型。",
        advice.BUSY,
    ),
    "page": Advice(
        VendorOverloaded,
        "A web page came in place of an answer: check {V}_BASE_URL, and any proxy or sign-in page on the way.",
        "返回的是网页而不是回答：请检查 {V}_BASE_URL，以及途中的代理或登录页面。",
        "The model's provider sent a page in place of an answer.",
    ),
}


def row(name: str, vendor: str) -> Advice:
    """A row with the vendor's own variables in it."""
    found = ROWS[name]
    begin = vendor.upper()
    return found._replace(english=found.english.replace("{V}", begin), chinese=found.chinese.replace("{V}", begin))
