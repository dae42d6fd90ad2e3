@echo off
rem Prepares everything and starts All-in-one. Options: --demo, --no-serve, --port N, --host ADDRESS, --repair, --with-recogniser
chcp 65001 >nul
pushd "%~dp0"
call launcher\run.bat start --open %*
set "AIO_STATUS=%ERRORLEVEL%"
popd
if not "%AIO_STATUS%"=="0" pause
exit /b %AIO_STATUS%
