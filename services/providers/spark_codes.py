"""What Spark's refusals mean, as data: which of our errors, and what the owner can do, in two languages."""

from __future__ import annotations

from collections.abc import Mapping

from services.errors import ContentBlocked, VendorOverloaded, VendorRefused
from services.providers.advice import Advice

# Numbers of `header.code`, and of `code` in the HTTP endpoint's bodies. Source: docs/providers/spark.md.
CODES: Mapping[int, Advice] = {
    10000: Advice(
        VendorOverloaded,
        "Spark could not open the connection; ask again.",
        "星火未能建立连接，请重试。",
    ),
    10001: Advice(
        VendorOverloaded,
        "Spark could not read from the connection; ask again.",
        "星火读取连接出错，请重试。",
    ),
    10002: Advice(
        VendorOverloaded,
        "Spark could not write to the connection; ask again.",
        "星火写入连接出错，请重试。",
    ),
    10003: Advice(
        VendorRefused,
        "Spark did not take the request as it is made, or path and domain do not match: choose another SPARK_VERSION.",
        "星火不接受这样的请求，或路径与 domain 不匹配：请更换 SPARK_VERSION。",
    ),
    10004: Advice(
        VendorRefused,
        "Spark found a field of the request wrong: choose another SPARK_VERSION, and report this as a fault of Parley.",
        "星火认为请求字段有误：请更换 SPARK_VERSION，并作为 Parley 的缺陷反馈。",
    ),
    10005: Advice(
        VendorRefused,
        "Spark found a parameter out of range: check TEMPERATURE and MAX_OUTPUT_TOKENS.",
        "星火认为参数超出范围：请检查 TEMPERATURE 与 MAX_OUTPUT_TOKENS。",
    ),
    10006: Advice(
        VendorOverloaded,
        "Spark is still busy with this user's previous question; wait a second and ask again.",
        "星火仍在处理该用户的上一个问题，请稍等一秒再试。",
        wait_s=1.0,
    ),
    10007: Advice(
        VendorOverloaded,
        "Spark is still answering this user's previous question; wait a second and ask again.",
        "星火仍在回答该用户的上一个问题，请稍等一秒再试。",
        wait_s=1.0,
    ),
    10008: Advice(
        VendorOverloaded,
        "Spark is at its capacity; wait and ask again.",
        "星火服务容量不足，请稍候再试。",
    ),
    10009: Advice(
        VendorOverloaded,
        "Spark could not reach its own engine; ask again.",
        "星火内部引擎连接失败，请重试。",
    ),
    10010: Advice(
        VendorOverloaded,
        "Spark heard nothing from its own engine; ask again.",
        "星火内部引擎没有响应，请重试。",
    ),
    10011: Advice(
        VendorOverloaded,
        "Spark could not ask its own engine; ask again.",
        "星火向内部引擎发送失败，请重试。",
    ),
    10012: Advice(
        VendorOverloaded,
        "Spark's engine broke; ask again.",
        "星火内部引擎出错，请重试。",
    ),
    10013: Advice(
        ContentBlocked,
        "Spark's review refused the question: put it differently.",
        "问题未通过星火的内容审核：请修改后再问。",
    ),
    10014: Advice(
        ContentBlocked,
        "Spark's review refused the answer: put the question differently, and do not pass on what was shown.",
        "回答未通过星火的内容审核：请换一种问法，且不要传播已显示的内容。",
    ),
    10015: Advice(
        VendorRefused,
        "Spark has put SPARK_APP_ID on its block list: ask the vendor's support why.",
        "SPARK_APP_ID 已被讯飞列入黑名单：请联系讯飞客服。",
    ),
    10016: Advice(
        VendorRefused,
        "SPARK_APP_ID may not use this version: open it or buy tokens in the vendor's console,"
        " or choose another SPARK_VERSION.",
        "SPARK_APP_ID 未获授权使用该版本：请在讯飞控制台开通或购买用量，或更换 SPARK_VERSION。",
    ),
    10017: Advice(
        VendorOverloaded,
        "Spark could not clear its history; ask again.",
        "星火清除历史失败，请重试。",
    ),
    10019: Advice(
        ContentBlocked,
        "Spark's review finds that this conversation tends to break its rules: begin a new one.",
        "星火认为当前会话有违规倾向：请新建会话。",
        told="The model's provider does not want to go on with this conversation; begin a new one.",
    ),
    10021: Advice(
        ContentBlocked,
        "Spark's review refused the question: put it differently.",
        "问题未通过星火的内容审核：请修改后再问。",
    ),
    10022: Advice(
        ContentBlocked,
        "Spark's review refused the picture: send another one.",
        "图片未通过星火的内容审核：请更换图片。",
    ),
    10110: Advice(
        VendorOverloaded,
        "Spark is busy; wait and ask again.",
        "星火服务繁忙，请稍候再试。",
    ),
    10163: Advice(
        VendorRefused,
        "Spark's engine did not take the request: choose another SPARK_VERSION, and report this as a fault of Parley.",
        "星火引擎不接受该请求：请更换 SPARK_VERSION，并作为 Parley 的缺陷反馈。",
    ),
    10222: Advice(
        VendorOverloaded,
        "Spark's own network failed; ask again.",
        "星火内部网络出错，请重试。",
    ),
    10907: Advice(
        VendorRefused,
        "The conversation is too long for this version of Spark: begin a new one, or choose a version that takes more.",
        "会话内容超过该版本星火的长度上限：请新建会话，或选择更长上下文的版本。",
        told="The conversation is too long for this model; begin a new one.",
    ),
    11200: Advice(
        VendorRefused,
        "This version of Spark is not opened for SPARK_APP_ID, or its tokens are used up: open it or buy tokens in the"
        " vendor's console, or choose another SPARK_VERSION.",
        "SPARK_APP_ID 未开通该版本，或用量已耗尽：请在讯飞控制台开通或购买，或更换 SPARK_VERSION。",
    ),
    11201: Advice(
        VendorRefused,
        "Today's limit of SPARK_APP_ID is used up: wait until midnight in China, or raise it in the vendor's console.",
        "SPARK_APP_ID 今日用量已达上限：请等到零点，或在讯飞控制台提高额度。",
    ),
    11202: Advice(
        VendorOverloaded,
        "SPARK_APP_ID asks more often in a second than it may: wait a second, or raise the limit in the vendor's"
        " console.",
        "SPARK_APP_ID 每秒请求数超限：请稍等一秒，或在讯飞控制台提高额度。",
        wait_s=1.0,
    ),
    11203: Advice(
        VendorOverloaded,
        "SPARK_APP_ID has as many answers running at once as it may: wait, or raise the limit in the vendor's console.",
        "SPARK_APP_ID 并发数超限：请稍候，或在讯飞控制台提高额度。",
        wait_s=1.0,
    ),
}

# Refusals of the signed handshake, by what the vendor's sentence is about.
HANDSHAKE: Mapping[str, Advice] = {
    "key": Advice(
        VendorRefused,
        "Spark does not know SPARK_API_KEY: copy it anew from the vendor's console.",
        "星火不认识 SPARK_API_KEY：请从讯飞控制台重新复制。",
    ),
    "secret": Advice(
        VendorRefused,
        "Spark found the signature wrong: copy SPARK_API_SECRET anew from the vendor's console.",
        "星火验证签名失败：请从讯飞控制台重新复制 SPARK_API_SECRET。",
    ),
    "clock": Advice(
        VendorRefused,
        "This server's clock is more than five minutes off, so Spark refuses its signature: set the clock.",
        "本服务器的时钟误差超过五分钟，星火因此拒绝签名：请校准时钟。",
        told="This server's clock is wrong, so the model's provider refused the request; its owner must set it.",
    ),
    "address": Advice(
        VendorRefused,
        "Spark does not let this server's network address in: add it to the list in the vendor's console.",
        "星火不允许本服务器的网络地址访问：请在讯飞控制台的白名单中添加。",
    ),
    "path": Advice(
        VendorRefused,
        "Spark serves nothing at this path: check SPARK_VERSION and SPARK_BASE_URL.",
        "星火在该路径上没有服务：请检查 SPARK_VERSION 与 SPARK_BASE_URL。",
    ),
}

PASSWORD = Advice(
    VendorRefused,
    "Spark did not accept SPARK_API_PASSWORD: copy it anew from the vendor's console; each version may have its own.",
    "星火不接受 SPARK_API_PASSWORD：请从讯飞控制台重新复制；不同版本的密码可能不同。",
)

UNKNOWN = Advice(
    VendorOverloaded,
    "Spark reported a fault that is not known here; ask again, and look into the log for its number.",
    "星火报告了未知错误：请重试，并在日志中查看错误码。",
)

TABLE: Mapping[str, Advice] = {
    **{str(code): advice for code, advice in CODES.items()},
    "any other number": UNKNOWN,
    **{f"handshake: {cause}": advice for cause, advice in HANDSHAKE.items()},
    "HTTP 401": PASSWORD,
}
"""All rows, as the owner's page lists them."""
