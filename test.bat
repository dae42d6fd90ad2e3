@echo off
rem Makes the test environment and runs every check. Options: --quick, --repair; other arguments go to pytest.
chcp 65001 >nul
pushd "%~dp0"
call launcher\run.bat test %*
set "AIO_STATUS=%ERRORLEVEL%"
popd
if not "%AIO_STATUS%"=="0" pause
exit /b %AIO_STATUS%
