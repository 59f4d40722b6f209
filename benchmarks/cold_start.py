"""Measure what each function adds to the cold start of a bare handler with the same client.

    .venv/bin/python -m benchmarks.cold_start
    .venv/bin/python -m benchmarks.cold_start --runs 40

The bare handler imports boto3 and makes the client; the function does the same, with Powertools'
Logger and Tracer and its own code. Each runs in a process of its own, in turns, on an interpreter
that has boto3 alone, as Lambda's has. Processor time counts, the least of all runs.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

FUNCTIONS = Path(__file__).resolve().parents[1] / "functions"
BARE = {
    "serialize_image": "import boto3; boto3.client('s3')",
    "classify_image": "import boto3; boto3.client('sagemaker-runtime')",
    "filter_inferences": "import boto3",
    "dispatch_orders": "import boto3; [boto3.client(name) for name in ('dynamodb','events','sqs')]",
    "measure_drift": "import boto3; [boto3.client(name) for name in ('dynamodb', 's3')]",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=20, help="processes of each kind (default 20)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        python = make_runtime(Path(folder) / "runtime")
        print(f"{'':20}{'package':>9}{'bare':>9}{'function':>10}{'ratio':>7}")
        for function, bare in BARE.items():
            package = make_package(function, Path(folder) / function, python)
            size = sum(path.stat().st_size for path in package.rglob("*") if path.is_file())
            whole = f"import functions.{function}.app"
            times: dict[str, list[float]] = {bare: [], whole: []}
            for _ in range(runs):
                for code, seconds in times.items():
                    seconds.append(processor_seconds(python, code, package))
            one, other = map(min, times.values())
            print(
                f"{function:20}{size / 1e6:>6.1f} MB{1000 * one:>6.0f} ms{1000 * other:>7.0f} ms"
                f"{other / one:>7.2f}",
                flush=True,
            )


def make_runtime(folder: Path) -> Path:
    """A Python with boto3 and nothing else; the path of its interpreter."""
    uv("venv", "--python", sys.executable, str(folder))
    python = folder / "bin" / "python"
    uv("pip", "install", "--compile-bytecode", f"--python={python}", f"boto3=={version('boto3')}")
    return python


def make_package(function: str, folder: Path, python: Path) -> Path:
    """The function's folder with its requirements, compiled, as functions/Makefile makes it."""
    requirements = FUNCTIONS / function / "requirements.txt"
    uv("pip", "install", "--no-deps", f"--python={python}", f"--target={folder}",
       "--requirement", str(requirements))  # fmt: skip
    target = folder / "functions" / function
    shutil.copytree(FUNCTIONS / function, target, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(FUNCTIONS / "__init__.py", target.parent)
    subprocess.run(
        [python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", folder],
        check=True,
    )
    return folder


def uv(*arguments: str) -> None:
    """Run the uv of the environment that runs this."""
    program = Path(sys.executable).with_name("uv")
    if not program.exists():
        sys.exit("there is no uv beside this Python: run `make setup`, then .venv/bin/python")
    subprocess.run([program, "--quiet", *arguments], check=True)


def processor_seconds(python: Path, code: str, package: Path) -> float:
    """User and system time, in seconds, of a process that runs `code` beside `package`."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(package),
        "AWS_DEFAULT_REGION": "eu-west-1",
        "LAMBDA_TASK_ROOT": str(package),  # Tracer is on in Lambda only
    }
    process = subprocess.Popen([python, "-c", code], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{code!r} failed, see above")
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
