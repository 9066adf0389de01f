"""Simulated vendors for trying the server without keys: `python -m simulators [port]`."""

# ruff: noqa: E402 - the standard library must be patched before anything imports it
from gevent import monkey

monkey.patch_all()

import contextlib
import sys

from gevent.event import Event

from simulators.ark import ENDPOINT, ArkSimulator
from simulators.cosyvoice import CosyVoiceSimulator
from simulators.dashscope import APP_ID
from simulators.iat import IatSimulator
from simulators.ocr import OcrSimulator
from simulators.openai import KEY, OpenAISimulator
from simulators.spark import APP_ID as SPARK_APP_ID
from simulators.spark import SECRET, SparkSimulator
from simulators.wanx import WanxSimulator


def main() -> None:
    """Serve until interrupted; print what to put into `.env`."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9100
    with (
        OpenAISimulator(port=port) as simulator,
        WanxSimulator(port=port and port + 1) as dashscope,
        ArkSimulator(port=port and port + 2) as ark,
        SparkSimulator(port=port and port + 3) as spark,
        IatSimulator(port=port and port + 4) as iat,
        CosyVoiceSimulator(port=port and port + 5) as audio,
        OcrSimulator(port=port and port + 6) as ocr,
    ):
        url = simulator.url
        print(
            "Simulated vendors are listening. Put these lines into .env:\n\n"
            f"OPENAI_API_KEY={KEY}\nOPENAI_BASE_URL={url}/openai/v1\n"
            f"DEEPSEEK_API_KEY={KEY}\nDEEPSEEK_BASE_URL={url}/deepseek\n"
            f"DASHSCOPE_API_KEY={KEY}\nDASHSCOPE_BASE_URL={dashscope.base_url}\nAPP_ID={APP_ID}\n"
            f"ARK_API_KEY={KEY}\nARK_BASE_URL={ark.base_url}\nARK_ENDPOINT=doubao-1-5-pro-32k={ENDPOINT}\n"
            f"SPARK_APP_ID={SPARK_APP_ID}\nSPARK_API_KEY={KEY}\nSPARK_API_SECRET={SECRET}\nSPARK_BASE_URL={spark.ws_url}\n"
            f"IFLYTEK_APP_ID={SPARK_APP_ID}\nIFLYTEK_API_KEY={KEY}\nIFLYTEK_API_SECRET={SECRET}\n"
            f"IFLYTEK_IAT_URL={iat.ws_url}\nDASHSCOPE_WEBSOCKET_URL={audio.ws_url}\n"
            f"IFLYTEK_OCR_URL={ocr.url}\nSPARK_PICTURE_URL={ocr.picture_url}\n"
            f"OLLAMA_BASE_URL={url}/ollama\nVLLM_BASE_URL={url}/vllm/v1\n\n"
            "A prompt can ask for a fault, as in: hello [[fault reset-after=3]] (see simulators/faults.py).",
            flush=True,
        )
        with contextlib.suppress(KeyboardInterrupt):
            Event().wait()


if __name__ == "__main__":
    main()
