from setuptools import Extension, setup

setup(
    ext_modules=[
        # Without a compiler or Python's headers the stamps are made in Python.
        Extension(
            "omrig.measured.probes._stamp",
            sources=["omrig/measured/probes/_stamp.c"],
            depends=[
                "omrig/measured/probes/_stamp_module.h",
                "omrig/measured/probes/_stamp_socket.h",
            ],
            extra_compile_args=["-std=c11", "-O2", "-Wall", "-Wextra"],
            optional=True,
        )
    ]
)
