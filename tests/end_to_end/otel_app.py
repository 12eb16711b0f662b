"""An application as OpenTelemetry's documentation sets one up; it knows nothing of spendstream. Configured by OTEL_* and OPENAI_*.

Usage: otel_app.py; makes three calls inside an agent's span, then ends, which exports what is left.
"""

from openai import OpenAI
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
OpenAIInstrumentor().instrument()

client = OpenAI()
messages = [{"role": "user", "content": "SECRET-PROMPT"}]
with trace.get_tracer("app").start_as_current_span("invoke_agent planner") as span:
    span.set_attribute("gen_ai.operation.name", "invoke_agent")
    client.chat.completions.create(model="gpt-4o", messages=messages)
    client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    stream = client.chat.completions.create(
        model="gpt-4o-mini", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    for _ in stream:
        pass
provider.shutdown()
