"""What readers that take a question are asked."""

from __future__ import annotations

from services.ocr.base import ReadRequest

_ASKED = {
    ("ocr", False): "Write down all the text in this picture exactly as it stands, line by line and in reading order."
    " Give nothing but the text.",
    ("ocr", True): "请把图中的所有文字按阅读顺序逐行、原样写出，除文字外不要输出任何内容。",
    ("describe", False): "Describe this picture.",
    ("describe", True): "请描述这张图片。",
}


def question_of(request: ReadRequest) -> str:
    """The user's own question, or one for the task in the user's language."""
    if request.prompt and request.task == "describe":
        return request.prompt
    general = _ASKED[request.task, request.language.lower().startswith("zh")]
    return f"{general}\n{request.prompt}" if request.prompt else general
