@echo off
rem Finds a Python 3.10-3.12 and hands over to the launcher package. start.bat and test.bat call this.
setlocal
set "AIO_CHECK=import sys; sys.exit(sys.version_info[:2] not in [(3, 10), (3, 11), (3, 12)])"

if not defined PYTHON goto launcher
"%PYTHON%" -E -c "%AIO_CHECK%" >nul 2>&1 && set "AIO_PYTHON="%PYTHON%"" && goto found
:launcher
py -3.11 -E -c "%AIO_CHECK%" >nul 2>&1 && set "AIO_PYTHON=py -3.11" && goto found
py -3.12 -E -c "%AIO_CHECK%" >nul 2>&1 && set "AIO_PYTHON=py -3.12" && goto found
py -3.10 -E -c "%AIO_CHECK%" >nul 2>&1 && set "AIO_PYTHON=py -3.10" && goto found
python -E -c "%AIO_CHECK%" >nul 2>&1 && set "AIO_PYTHON=python" && goto found
python3 -E -c "%AIO_CHECK%" >nul 2>&1 && set "AIO_PYTHON=python3" && goto found

echo [Error] Python 3.10, 3.11 or 3.12 was not found.
echo   Fix: install Python 3.11 from https://www.python.org/downloads/windows/
echo        and tick "Add python.exe to PATH" in its first window, then start again.
exit /b 3

:found
%AIO_PYTHON% -E -X utf8 -m launcher %*
exit /b %ERRORLEVEL%
