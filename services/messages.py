"""What the server says no with, in Chinese: a sentence for every code, and finer ones where the field tells more."""

from __future__ import annotations

from services.errors import ChatError

_BY_CODE = {
    "unauthenticated": "尚未登录，或登录已失效；请重新登录。",
    "forbidden": "不允许这样做。",
    "not_found": "没有找到，或者它不属于你。",
    "conflict": "与当前状态冲突，无法完成。",
    "invalid_request": "请求有误。",
    "too_large": "内容超过了允许的大小。",
    "unsupported_media": "不支持这种内容类型。",
    "rate_limited": "操作太频繁，请稍候再试。",
    "quota_exceeded": "额度不足，无法完成这次请求。",
    "model_unknown": "这里没有这个模型。",
    "model_unavailable": "这个模型暂时不可用。",
    "vendor_refused": "模型服务商拒绝了这次请求。",
    "vendor_timeout": "模型没有及时回答。",
    "vendor_overloaded": "模型服务商繁忙，请稍候再试。",
    "content_blocked": "内容未通过模型服务商的安全审核。",
    "voice_overrun": "语音来得太快，请稍候再发送。",
    "interrupted": "服务器中断了这次回答；已保存的部分仍然保留。",
    "server_busy": "服务器繁忙，请稍候再试。",
    "internal": "服务器内部出错，请重试。",
}
_BY_FIELD = {
    ("conflict", "username"): "这个用户名已被使用。",
    ("conflict", "parent"): "前一条回答还没有写完，请先停止它。",
    ("conflict", "message"): "这条回答还没有写完，请先停止它。",
    ("forbidden", "old"): "原密码不正确。",
    ("invalid_request", "username"): "用户名不可用：请用 1 到 32 个看得见的字符。",
    ("invalid_request", "password"): "密码不可用：请用 8 到 256 个字符。",
    ("invalid_request", "new"): "新密码不可用：请用 8 到 256 个字符。",
    ("invalid_request", "old"): "原密码不正确。",
    ("invalid_request", "email"): "电子邮件地址不正确。",
    ("invalid_request", "ticket"): "重置凭证无效、已用过或已过期。",
    ("invalid_request", "title"): "标题不能为空。",
    ("unauthenticated", "password"): "用户名与密码不符。",
    ("unauthenticated", "token"): "令牌无效或已失效，请重新登录。",
}


def in_chinese(error: ChatError) -> str:
    """The sentence for a person who reads Chinese. The field keeps its name, which is a name of the protocol."""
    if (sentence := _BY_FIELD.get((error.code, error.field or ""))) is not None:
        return sentence
    general = _BY_CODE[error.code]
    return f"{general.removesuffix('。')}（字段：{error.field}）。" if error.field else general
