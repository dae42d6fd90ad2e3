@echo off
rem Installs the video engine Wan2GP (NVIDIA GPU). Options: --plan, --fastest-mirrors, --torch, --gpu
chcp 65001 >nul
pushd "%~dp0"
call launcher\run.bat install wan2gp %*
set "AIO_STATUS=%ERRORLEVEL%"
popd
if not "%AIO_STATUS%"=="0" pause
exit /b %AIO_STATUS%
